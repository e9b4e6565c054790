"""What one sees of a run: lines, curves, pictures, and how they came about."""

from jaxgan.reporting.console import duration as duration
from jaxgan.reporting.console import line as line
from jaxgan.reporting.images import Layout as Layout
from jaxgan.reporting.images import Picture as Picture
from jaxgan.reporting.images import curves as curves
from jaxgan.reporting.images import grid as grid
from jaxgan.reporting.images import layout as layout
from jaxgan.reporting.images import load_png as load_png
from jaxgan.reporting.images import picture as picture
from jaxgan.reporting.images import save_png as save_png
from jaxgan.reporting.images import scatter as scatter
from jaxgan.reporting.metric_writer import Report as Report
from jaxgan.reporting.metric_writer import open_report as open_report
from jaxgan.reporting.metric_writer import silent as silent
from jaxgan.reporting.metric_writer import summarise as summarise
from jaxgan.reporting.metrics_file import append as append
from jaxgan.reporting.metrics_file import read_metrics as read_metrics
from jaxgan.reporting.plots import losses_plot as losses_plot
from jaxgan.reporting.plots import new_figure as new_figure
from jaxgan.reporting.progress import moments as moments
from jaxgan.reporting.progress import progress as progress
