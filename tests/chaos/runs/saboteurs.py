"""saboteurs: each guard of the delivery promise is switched off once, and a story must notice. --full switches off all
of them, --short those that CI has the time for; `python -m tests.chaos.saboteurs NAME` one."""

from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig
from tests.chaos.saboteurs import prove, saboteur


async def story(rig: Rig) -> Result:
    """Run the stories, and say which saboteur got away."""
    chosen = [one for one in saboteur.known().values() if one.quick or rig.full]
    runs = await prove.run(chosen)
    for line in prove.table(chosen, runs):
        rig.say(line)
    got_away = {one.name: prove.verdict(one, runs) for one in chosen if prove.verdict(one, runs) != "red"}
    figures = {
        "saboteurs": len(chosen),
        "noticed": len(chosen) - len(got_away),
        "stories": len({s.story for s in chosen}),
    }
    return Result(figures, [f"{name}: {found}" for name, found in got_away.items()])


RUN = Run(story)
