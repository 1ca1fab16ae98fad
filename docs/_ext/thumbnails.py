"""Thumbnails of the gallery: of a figure with panels beside each other the first, whose words can be read."""

from pathlib import Path

import matplotlib.pyplot as plt
from sphinx_gallery.scrapers import matplotlib_scraper
from sphinx_gallery.utils import scale_image


def panels(conf):
    """The folder of first panels."""
    folder = Path(conf["src_dir"], conf["gallery_dirs"], "images", "panels")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def first_panel(figure):
    """The box of the first panel with its labels, in inches; None where all panels are under each other."""
    figure.draw_without_rendering()
    if len({round(ax.get_position().x0, 2) for ax in figure.axes}) < 2:
        return None
    return figure.axes[0].get_tightbbox().transformed(figure.dpi_scale_trans.inverted()).padded(0.05)


def scrape(block, block_vars, gallery_conf, **kwargs):
    """The pictures of a block, as sphinx-gallery takes them; the first panel of the first is kept beside them."""
    if plt.get_fignums() and not len(block_vars["image_path_iterator"]):
        figure = plt.figure(plt.get_fignums()[0])
        path = panels(gallery_conf) / f"{Path(block_vars['src_file']).stem}.png"
        box = first_panel(figure)
        if box is None:
            path.unlink(missing_ok=True)
        else:
            figure.savefig(path, dpi=200, bbox_inches=box)
    return matplotlib_scraper(block, block_vars, gallery_conf, **kwargs)


def _get_sg_image_scraper():
    """What sphinx-gallery asks a module for that is named as a scraper."""
    return scrape


def show_first_panels(app):
    """Put the first panels in the place of thumbnails."""
    conf = app.config.sphinx_gallery_conf
    for panel in panels(conf).glob("*.png"):
        thumb = panel.parents[1] / "thumb" / f"sphx_glr_{panel.stem}_thumb.png"
        scale_image(panel, thumb, *conf["thumbnail_size"])


def setup(app):
    """Register with sphinx, after the gallery."""
    app.connect("builder-inited", show_first_panels, priority=900)
    return {"version": "1", "parallel_read_safe": True}
