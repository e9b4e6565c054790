"""Traces some calls of the step and summarizes the trace as a table."""

from jaxgan.performance.profiling.table import Row as Row
from jaxgan.performance.profiling.table import TraceSummary as TraceSummary
from jaxgan.performance.profiling.table import format_summary as format_summary
from jaxgan.performance.profiling.table import summarize_trace as summarize_trace
from jaxgan.performance.profiling.trace import open_profile as open_profile
