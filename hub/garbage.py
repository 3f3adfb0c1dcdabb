"""What the garbage collector of a long-running process need not look at.

Modules, schemas and routes are some 220,000 objects that live as long as the process does. A full collection would walk
all of them, again and again, and nobody is answered meanwhile.
"""

import gc


def settle() -> None:
    """Collect what the start has left behind, and leave out of all later collections what is there now."""
    gc.collect()
    gc.freeze()
