"""The bugs of real hand-ins as mutants of our own pipeline, each with the check that must catch it.

`headtohead explain` shows their texts; docs/bugs.md has the table of what is caught.
"""

from headtohead.checks.mutants_of_data import OF_DATA
from headtohead.checks.mutants_of_training import OF_TRAINING

MUTANTS = (*OF_DATA, *OF_TRAINING)
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
