"""Where the time of a step goes: a trace, and a table that is read from it."""

from jaxgan.profiling.account import Account as Account
from jaxgan.profiling.account import Row as Row
from jaxgan.profiling.account import account as account
from jaxgan.profiling.account import lines as lines
from jaxgan.profiling.tracing import open_profile as open_profile
