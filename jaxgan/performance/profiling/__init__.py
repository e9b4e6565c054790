"""Traces some calls of the step, times all, and compares them with the peak."""

from jaxgan.performance.profiling.clock import StepClock as StepClock
from jaxgan.performance.profiling.phases import phase as phase
from jaxgan.performance.profiling.server import open_server as open_server
from jaxgan.performance.profiling.table import Row as Row
from jaxgan.performance.profiling.table import TraceSummary as TraceSummary
from jaxgan.performance.profiling.table import format_summary as format_summary
from jaxgan.performance.profiling.table import summarize_trace as summarize_trace
from jaxgan.performance.profiling.trace import open_profile as open_profile
from jaxgan.performance.profiling.utilization import Utilization as Utilization
from jaxgan.performance.profiling.utilization import peak_of as peak_of
