"""Writes what a run reports: console lines, metrics, curves and pictures."""

from jaxgan.reporting.console import format_duration as format_duration
from jaxgan.reporting.console import format_line as format_line
from jaxgan.reporting.images import Layout as Layout
from jaxgan.reporting.images import Picture as Picture
from jaxgan.reporting.images import curves as curves
from jaxgan.reporting.images import grid as grid
from jaxgan.reporting.images import layout as layout
from jaxgan.reporting.images import load_png as load_png
from jaxgan.reporting.images import picture as picture
from jaxgan.reporting.images import picture_of_columns as picture_of_columns
from jaxgan.reporting.images import save_png as save_png
from jaxgan.reporting.images import scatter as scatter
from jaxgan.reporting.metric_writer import MetricWriter as MetricWriter
from jaxgan.reporting.metric_writer import open_metric_writer as open_metric_writer
from jaxgan.reporting.metric_writer import summarize as summarize
from jaxgan.reporting.metrics_file import append as append
from jaxgan.reporting.metrics_file import read_findings as read_findings
from jaxgan.reporting.metrics_file import read_metrics as read_metrics
from jaxgan.reporting.metrics_file import read_rows as read_rows
from jaxgan.reporting.plots import losses_plot as losses_plot
from jaxgan.reporting.plots import new_figure as new_figure
from jaxgan.reporting.plots import save_figure as save_figure
from jaxgan.reporting.progress import moments as moments
from jaxgan.reporting.progress import progress as progress
from jaxgan.reporting.statistics import seed_labels as seed_labels
