"""Where the time of a step goes: a trace, and a table that is read from it."""

from jaxgan.performance.profiling.table import Row as Row
from jaxgan.performance.profiling.table import TraceSummary as TraceSummary
from jaxgan.performance.profiling.table import format_summary as format_summary
from jaxgan.performance.profiling.table import summarize_trace as summarize_trace
from jaxgan.performance.profiling.trace import open_profile as open_profile
