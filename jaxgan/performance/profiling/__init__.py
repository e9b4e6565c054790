"""Where the time of a step goes: a trace, and a table that is read from it."""

from jaxgan.performance.profiling.table import Account as Account
from jaxgan.performance.profiling.table import Row as Row
from jaxgan.performance.profiling.table import account as account
from jaxgan.performance.profiling.table import lines as lines
from jaxgan.performance.profiling.trace import open_profile as open_profile
