"""Stories of animals and children: one frame, many plots, sentences chosen at each step."""

from __future__ import annotations

from random import Random

from .words import ANIMALS, BOYS, COLORS, GIRLS, NAMES, PLACES, THINGS, WEATHER, article, pronouns

ASK = [
    "Tell me a story about {}.", "Write a short story about {}.", "Tell a story about {}.", "Write a story about {}.",
    "I want to hear a story about {}.", "Make up a story about {}.", "Tell me a bedtime story about {}.",
    "Write me a story about {}.", "Story about {}.", "Give me a short story about {}.", "Tell me about {} in a story.",
]
OPENINGS = [
    "Once upon a time, there was {a} named {n} who lived in {p}.",
    "In {p}, there lived {a} named {n}.",
    "Long ago, {a} named {n} lived in {p}.",
    "There was once {a} named {n}, and {s} lived in {p}.",
]
TRAITS = [
    "{n} was very {q}, and everybody liked {o}.",
    "Everybody knew that {n} was {q} and good at {g}.",
    "{N} was {q}, and {h} favorite food was {f}.",
    "Every day {n} ate some {f} and practiced {g}.",
]
MORNINGS = [
    "One {w} morning, {n} went for a walk.",
    "One {w} day, {n} woke up early and looked outside.",
    "On {aw} afternoon, {n} was sitting in the sun and thinking.",
    "One {w} evening, {n} heard a strange sound.",
]


def lost_thing(v: dict[str, str], rng: Random) -> list[str]:
    return [
        rng.choice([f"Under a tree {v['s']} found {article(v['c'])} {v['t']}.", f"Beside the path lay {article(v['c'])} {v['t']}."]),
        f"\"Who could have lost this {v['t']}?\" {v['n']} asked.",
        f"{v['S']} asked the {v['b']}, but the {v['b']} had never seen it before.",
        f"Then {v['s']} asked {v['m']}, who lived near the {v['pl']}.",
        rng.choice([
            f"\"That is my {v['t']}!\" said {v['m']}. \"I have been looking for it everywhere.\"",
            f"\"Oh, thank you!\" cried {v['m']}. \"My grandmother gave me this {v['t']}.\"",
        ]),
        f"{v['m']} was so happy that {v['ms']} gave {v['n']} some {v['f']}.",
    ]


def helper(v: dict[str, str], rng: Random) -> list[str]:
    return [
        f"Near the {v['pl']} {v['s']} met {article(v['b'])} who was crying.",
        f"\"What is wrong?\" asked {v['n']}.",
        rng.choice([
            f"\"I cannot find my way home,\" said the {v['b']}.",
            f"\"I lost my {v['c']} {v['t']},\" said the {v['b']}.",
            f"\"My {v['t']} fell into the water,\" said the {v['b']}.",
        ]),
        f"\"Do not worry,\" said {v['n']}. \"I will help you.\"",
        f"Because {v['s']} was good at {v['g']}, {v['s']} soon knew what to do.",
        rng.choice(["Together they walked until the sun went down.", "They worked together the whole day.", "They looked behind every stone and under every leaf."]),
        f"At last the {v['b']} smiled again and said, \"You are a true friend.\"",
    ]


def storm(v: dict[str, str], rng: Random) -> list[str]:
    return [
        "Suddenly the sky turned dark, and a great storm began.",
        f"The wind blew so hard that the {v['b']} could not hold on to the old bridge.",
        f"\"Help!\" cried the {v['b']}. \"I am falling!\"",
        f"{v['N']} was afraid, but {v['s']} did not run away.",
        rng.choice([f"{v['S']} took a long rope and threw it to the {v['b']}.", f"{v['S']} held out a strong branch and pulled with all {v['h']} strength."]),
        f"Slowly, step by step, the {v['b']} came back to the shore.",
        rng.choice(["When the storm was over, a rainbow stood over the hills.", "When the storm was over, they sat by the fire and drank hot tea."]),
    ]


def race(v: dict[str, str], rng: Random) -> list[str]:
    return [
        f"A proud {v['b']} came along and said, \"I am faster than you.\"",
        f"\"Let us run a race to the {v['pl']},\" said {v['n']}.",
        "All the animals came to watch.",
        f"At first the {v['b']} was far ahead and laughed.",
        rng.choice([f"But then the {v['b']} stopped to rest and fell asleep.", f"But then the {v['b']} took the wrong path and got lost."]),
        f"{v['N']} did not stop. {v['S']} went on, slowly and surely.",
        f"In the end {v['n']} won the race, and the {v['b']} said, \"I was wrong to laugh at you.\"",
    ]


def dream(v: dict[str, str], rng: Random) -> list[str]:
    return [
        f"{v['N']} had a big dream: {v['s']} wanted to see the {v['pl']}.",
        f"\"It is too far away,\" said the {v['b']}.",
        f"But {v['n']} packed some {v['f']} and {article(v['c'])} {v['t']} and started walking.",
        "The first day was easy, and the second day was hard.",
        rng.choice([f"On the third day {v['s']} met {v['m']}, who knew the way.", f"On the third day {v['s']} crossed a deep river."]),
        f"When {v['s']} finally saw the {v['pl']}, {v['s']} was so happy that {v['s']} danced.",
        f"{v['S']} stayed there for a week and made many new friends.",
    ]


def party(v: dict[str, str], rng: Random) -> list[str]:
    return [
        f"It was the birthday of the {v['b']}, and {v['n']} wanted to bring a present.",
        f"First {v['s']} thought of {article(v['c'])} {v['t']}, but it was too expensive.",
        f"Then {v['s']} thought of some {v['f']}, but there was nothing left.",
        rng.choice([f"So {v['n']} sat down and wrote a song.", f"So {v['n']} painted a picture of the {v['pl']}."]),
        f"At the party everybody brought something big, and {v['n']} felt small.",
        f"But the {v['b']} liked the present of {v['n']} best of all.",
        "\"You made it yourself,\" said the " + v["b"] + ", \"and that is why it is so beautiful.\"",
    ]


PLOTS = [lost_thing, helper, storm, race, dream, party]
ENDINGS = [
    "From that day on, they were best friends.",
    "From that day on, {n} was never lonely again.",
    "And {n} learned that a kind heart is worth more than gold.",
    "That night {n} went to bed tired and happy.",
    "And they all lived happily ever after.",
    "And if you go to {p} today, you may still hear the story of {n}.",
]


def story(rng: Random) -> tuple[str, str]:
    """A request for a story and a story of about 120 to 220 tokens."""
    other = rng.choice(sorted(ANIMALS))
    thing, color, weather = rng.choice(THINGS), rng.choice(COLORS), rng.choice(WEATHER)
    place = rng.choice(PLACES)
    friend = rng.choice(NAMES)
    if rng.random() < 0.8:
        animal = rng.choice(sorted(ANIMALS))
        trait, home, food, skill = ANIMALS[animal]
        name = rng.choice(NAMES)
        adjective = rng.choice(["small", "young", "little", trait, trait])
        who = article(f"{adjective} {animal}")
        about = rng.choice([article(animal)] * 5 + [f"{article(animal)} named {name}", who, f"{article(animal)} and {article(other)}", animal + "s"])
        if about == who and rng.random() < 0.5:
            about = article(f"{trait} {animal}")
            who = about
    else:
        name = rng.choice(NAMES)
        trait, home, food, skill = rng.choice(["brave", "kind", "curious", "clever"]), rng.choice(PLACES), "apples", "solving puzzles"
        child = "girl" if name in GIRLS else "boy"
        who = article(f"{rng.choice(['young', 'little', trait])} {child}")
        about = rng.choice([article(child), f"{article(child)} named {name}", name, f"{article(child)} in {article(home)}"])
    while friend == name:
        friend = rng.choice(NAMES)
    he, his, him = pronouns(name, rng)
    home_phrase = article(home) if rng.random() < 0.4 else f"a {rng.choice(['quiet', 'beautiful', 'green', 'faraway'])} {home}"
    v = dict(
        a=who, n=name, N=name, s=he, S=he.capitalize(), h=his, o=him, q=trait, g=skill, f=food, p=home_phrase,
        w=weather, aw=article(weather), b=other, t=thing, c=color, m=friend, ms="she" if friend in GIRLS else "he", pl=place,
    )
    v["S"] = he.capitalize()
    plot = rng.choice(PLOTS)
    opening = [rng.choice(OPENINGS).format(**v), rng.choice(TRAITS).format(**v)]
    body = [rng.choice(MORNINGS).format(**v), *plot(v, rng)]
    end = [rng.choice(ENDINGS).format(**{**v, "p": "the " + home})]
    joiner = "\n\n" if rng.random() < 0.7 else " "
    return rng.choice(ASK).format(about), joiner.join(" ".join(part) for part in (opening, body, end))


def short_poem(rng: Random) -> tuple[str, str]:
    """Four lines in a fixed scheme."""
    rhymes = [
        ("The {x} looks up to the sky,", "and watches the white clouds go by.", "It smiles at the moon and the sun,", "and sleeps when the long day is done."),
        ("A {x} went out in the night,", "and found there a small silver light.", "It carried the light to its door,", "and was not afraid any more."),
        ("I once saw a {x} by the sea,", "it sang a new song just for me.", "The waves came along with the tune,", "and danced in the light of the moon."),
    ]
    thing = rng.choice([*sorted(ANIMALS), *THINGS])
    about = article(thing)
    asks = ["Write a poem about {}.", "Write a short poem about {}.", "Compose a poem about {}.", "Make a little poem about {}."]
    return rng.choice(asks).format(about), "\n".join(rng.choice(rhymes)).format(x=thing)


STORY_GENERATORS = [(story, 36), (short_poem, 3)]
assert not set(GIRLS) & set(BOYS)
