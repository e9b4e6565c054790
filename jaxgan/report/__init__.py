"""What one sees of a run: lines, curves, pictures, and how they came about."""

from jaxgan.report.desk import Report as Report
from jaxgan.report.desk import open_report as open_report
from jaxgan.report.desk import silent as silent
from jaxgan.report.desk import summarise as summarise
from jaxgan.report.history import moments as moments
from jaxgan.report.history import progress as progress
from jaxgan.report.lines import duration as duration
from jaxgan.report.lines import line as line
from jaxgan.report.metrics_file import append as append
from jaxgan.report.metrics_file import read_metrics as read_metrics
from jaxgan.report.pictures import Layout as Layout
from jaxgan.report.pictures import Picture as Picture
from jaxgan.report.pictures import curves as curves
from jaxgan.report.pictures import grid as grid
from jaxgan.report.pictures import layout as layout
from jaxgan.report.pictures import load_png as load_png
from jaxgan.report.pictures import picture as picture
from jaxgan.report.pictures import save_png as save_png
from jaxgan.report.pictures import scatter as scatter
from jaxgan.report.plots import losses_plot as losses_plot
from jaxgan.report.plots import new_figure as new_figure
