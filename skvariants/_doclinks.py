"""Links from the HTML representation in a notebook to the documentation, and whole words in it.

There is no public address of the documentation to point to, so there are no links until :func:`set_docs_url` says where
a copy is.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["LinksToDocs", "page", "set_docs_url"]

_base: str | None = None


def set_docs_url(url: str | None) -> None:
    """Say where the documentation is, so that estimators link to it in notebooks.

    Parameters
    ----------
    url : str or None
        Address of the folder that holds the built ``index.html``, on a server of your own or as ``file:///...``.
        None, as at the start, for no links.

    Raises
    ------
    TypeError
        If `url` is neither a string nor None.

    Examples
    --------
    >>> import skvariants
    >>> skvariants.set_docs_url("https://docs.example/skvariants")
    >>> model = skvariants.SGDVariantClassifier()
    >>> "https://docs.example/skvariants/api/generated/skvariants.SGDVariantClassifier.html" in model._repr_html_()
    True
    >>> skvariants.set_docs_url(None)
    """
    global _base
    if not (url is None or isinstance(url, str)):
        raise TypeError(f"url={url!r} is not accepted: url must be a string or None.")
    _base = None if url is None else url.rstrip("/")


def page(cls: type) -> str:
    """Address of the page of a class of the package; empty where no address is set.

    Parameters
    ----------
    cls : type
        The class.

    Returns
    -------
    str
        The address.
    """
    if _base is None:
        return ""
    package, *inner = cls.__module__.split(".")
    offered = getattr(sys.modules[package], cls.__name__, None) is cls
    # a family is a package: its classes are public one level up
    module = package if offered or not inner else f"{package}.{inner[0]}"
    return f"{_base}/api/generated/{module}.{cls.__name__}.html"


class LinksToDocs:
    """Mixin of what has a page in the documentation; scikit-learn's HTML representation reads these attributes."""

    _doc_link_module = "skvariants"

    _doc_link_template = "{address}"

    def _doc_link_url_param_generator(self) -> dict[str, Any]:
        return {"address": page(type(self))}

    def _get_fitted_attr_html(self, *args: Any, **kwargs: Any) -> Any:
        """What scikit-learn shows of fitted attributes: it cuts text at nine characters, and a status has more."""
        attributes = super()._get_fitted_attr_html(*args, **kwargs)
        for name, shown in attributes.items():
            attributes[name] = {**shown, "value": _whole(shown["value"])}
        return attributes

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        """What it shows of parameters: a component, whose own parameters follow it, is cut at thirty."""
        parameters = super()._get_params_html(*args, **kwargs)
        for name, value in parameters.items():
            if not isinstance(value, str | dict):
                parameters[name] = _whole(value)
        return parameters


#: Characters at which ``reprlib`` cuts what it does not know.
_LONGEST = 30


class _Text:
    """Text as it is: ``reprlib`` goes by the names of types, and takes it for no text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _whole(value: Any) -> Any:
    """A value of which ``reprlib`` shows whole words: text and keys as they are, and of what is too long its class."""
    if isinstance(value, str):
        return _Text(repr(value))
    if isinstance(value, dict):
        return {_Text(repr(key)): inner for key, inner in value.items() if len(repr(key)) <= _LONGEST}
    if type(value).__module__ in ("builtins", "numpy") or len(repr(value)) <= _LONGEST:
        return value
    return _Text(f"{type(value).__name__}(...)")
