"""The settings of what a cell's output may be in a front end; :mod:`.policy` holds to them."""

from __future__ import annotations

from traitlets import Enum, List, Unicode
from traitlets.config import LoggingConfigurable

from . import policy


class OutputPolicy(LoggingConfigurable):
    """What the notebook shows of what cells send. Executors get plain text, JSON and pixel images, whatever is set here."""

    html = Enum(
        policy.WAYS,
        default_value=policy.WAYS[0],
        help="""What becomes of HTML, Markdown, LaTeX and SVG. `sanitized`: tables, text, links to the web and images that lie
        within the output are shown, without scripts, forms, frames, remote images and the page's own styles; Markdown and
        LaTeX when they are harmless; SVG as an image. `text`: none of it, the plain text is shown. `trusted`: all types as
        they are, JavaScript included, which then acts as you in Jupyter: it can run code on this machine, outside of any
        sandbox. Default: sanitized, which shows DataFrames and plots.""",
    ).tag(config=True)
    extra_mime_types = List(
        Unicode(),
        help="""More types to pass on as they are, for example application/vnd.vegalite.v5+json. What a type may do is up to
        the extension that draws it: many (Plotly, Vega, Bokeh) can load from the network or run code that stands in the
        data, as you. Default: none.""",
    ).tag(config=True)

    def policy(self) -> policy.Policy:
        """Return what the settings make."""
        return policy.Policy(self.html, frozenset(self.extra_mime_types))
