"""All that knows of devices: which there are, and how one step runs on them."""

from jaxgan.parallel.devices import default_steps_per_call as default_steps_per_call
from jaxgan.parallel.devices import describe as describe
from jaxgan.parallel.devices import pick as pick
from jaxgan.parallel.devices import resident_limit as resident_limit
from jaxgan.parallel.devices import (
    warn_of_missed_accelerator as warn_of_missed_accelerator,
)
from jaxgan.parallel.feed import Feed as Feed
from jaxgan.parallel.feed import resident as resident
from jaxgan.parallel.feed import streamed as streamed
from jaxgan.parallel.layout import AXIS as AXIS
from jaxgan.parallel.layout import Layout as Layout
from jaxgan.parallel.layout import layout_of as layout_of
from jaxgan.parallel.placement import created as created
from jaxgan.parallel.placement import from_processes as from_processes
from jaxgan.parallel.placement import local as local
from jaxgan.parallel.placement import place as place
from jaxgan.parallel.placement import put as put
from jaxgan.parallel.placement import shardings as shardings
from jaxgan.parallel.strategies import compiled as compiled
from jaxgan.parallel.strategies import each_its_part as each_its_part
from jaxgan.parallel.strategies import lowered as lowered
from jaxgan.parallel.strategies import needs as needs
