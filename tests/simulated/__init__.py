"""Several bfill processes over one store in virtual time: real loops, machines and agreements; only time, workers and
the system behind the pool are played.

What happens is a function of the story and its seed, and hours pass in milliseconds. Nothing here knows how processes
agree: `Watch` looks at the store and at every start from above, and says what must never be.
"""

from simulated.processes import Process
from simulated.stories import Deed, Job, Phase, Story
from simulated.world import Sim

__all__ = ["Deed", "Job", "Phase", "Process", "Sim", "Story"]
