"""Lists, JSON and markdown tables."""

from __future__ import annotations

import json
from random import Random

from .facts import COUNTRIES
from .words import ANIMALS, CITIES, COLORS, FRUITS, HOBBIES, INSTRUMENTS, JOBS, NAMES, SEASONS, SPORTS, VEGETABLES, article

CATEGORIES: dict[str, list[str]] = {
    "fruits": FRUITS, "vegetables": VEGETABLES, "animals": sorted(ANIMALS), "colors": COLORS, "jobs": JOBS, "hobbies": HOBBIES,
    "cities": CITIES, "instruments": INSTRUMENTS, "sports": SPORTS, "countries": sorted(COUNTRIES),
    "planets": ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"],
    "drinks": ["water", "tea", "coffee", "milk", "juice", "lemonade", "cocoa"], "days of the week": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "months": ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
    "trees": ["oak", "pine", "birch", "maple", "willow", "apple tree", "cedar"], "flowers": ["rose", "tulip", "daisy", "lily", "sunflower", "violet", "orchid"],
    "tools": ["hammer", "saw", "drill", "screwdriver", "wrench", "ladder", "knife"], "clothes": ["shirt", "coat", "hat", "shoes", "scarf", "gloves", "socks"],
    "programming languages": ["Python", "JavaScript", "Rust", "Java", "Swift", "Ruby", "TypeScript"],
    "things in a kitchen": ["a pan", "a knife", "a table", "an oven", "a sink", "plates", "cups"],
}
NUMBER_WORDS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}


def simple_list(rng: Random) -> tuple[str, str]:
    kind = rng.choice(sorted(CATEGORIES))
    items = CATEGORIES[kind]
    count = rng.randrange(3, 8)
    ordered = kind in {"planets", "days of the week", "months"}
    chosen = items[:count] if ordered else rng.sample(items, min(count, len(items)))
    number = rng.choice([str(len(chosen)), NUMBER_WORDS[len(chosen)]])
    ask = rng.choice(["List {n} {k}.", "Name {n} {k}.", "Give me a list of {n} {k}.", "Write a list of {n} {k}.", "Give me {n} {k}.", "Can you name {n} {k}?"])
    lines = [f"{i}. {item}" for i, item in enumerate(chosen, 1)] if rng.random() < 0.6 else [f"- {item}" for item in chosen]
    opening = rng.choice([f"Here are {NUMBER_WORDS[len(chosen)]} {kind}:\n\n", "", f"Here is a list of {kind}:\n\n"])
    return ask.format(n=number, k=kind), opening + "\n".join(lines)


def shopping_list(rng: Random) -> tuple[str, str]:
    meals = {"a salad": ["lettuce", "tomatoes", "cucumbers", "olive oil", "salt"], "a cake": ["flour", "sugar", "eggs", "butter", "milk"],
             "a soup": ["potatoes", "carrots", "onions", "salt", "parsley"], "breakfast": ["bread", "butter", "jam", "eggs", "coffee"],
             "a picnic": ["bread", "cheese", "apples", "lemonade", "a blanket"], "pancakes": ["flour", "milk", "eggs", "sugar", "butter"],
             "a pizza": ["flour", "tomatoes", "cheese", "olive oil", "yeast"], "a fruit salad": ["apples", "bananas", "oranges", "grapes", "lemons"]}
    meal = rng.choice(sorted(meals))
    items = rng.sample(meals[meal], rng.randrange(4, 6))
    ask = rng.choice(["Write a shopping list for {}.", "What do I need for {}?", "Make a shopping list for {}.", "Give me the ingredients for {}."])
    return ask.format(meal), f"For {meal} you need:\n\n" + "\n".join(f"- {item}" for item in items) + rng.choice(["", "\n\nEnjoy your meal!", "\n\nThat is enough for four people."])


def person_record(rng: Random, name: str) -> dict[str, object]:
    record: dict[str, object] = {"name": name, "age": rng.randrange(18, 70)}
    record["city"] = rng.choice(CITIES)
    if rng.random() < 0.6:
        record["job"] = rng.choice(JOBS)
    if rng.random() < 0.7:
        record["hobbies"] = rng.sample(HOBBIES, rng.randrange(2, 4))
    if rng.random() < 0.4:
        record["email"] = f"{name.lower()}@example.com"
    if rng.random() < 0.3:
        record["married"] = rng.random() < 0.5
    return record


def json_object(rng: Random) -> tuple[str, str]:
    roll = rng.random()
    name = rng.choice(NAMES)
    if roll < 0.55:
        what, value = f"a person named {name}", person_record(rng, name)
    elif roll < 0.7:
        animal = rng.choice(sorted(ANIMALS))
        trait, home, food, _ = ANIMALS[animal]
        what, value = article(animal), {"animal": animal, "character": trait, "home": home, "food": food, "legs": 2 if animal in {"owl", "duck", "crow", "swan", "parrot", "penguin"} else 4}
    elif roll < 0.85:
        country = rng.choice(sorted(COUNTRIES))
        city, continent, language, _ = COUNTRIES[country]
        what, value = country, {"country": country, "capital": city, "continent": continent, "language": language}
    else:
        fruit, price = rng.choice(FRUITS), rng.randrange(1, 10)
        what, value = f"a product named {fruit}", {"product": fruit, "price": price, "currency": "EUR", "in_stock": True, "colors": rng.sample(COLORS, 2)}
    ask = rng.choice(["Write a JSON object for {}.", "Give me JSON for {}.", "Create a JSON object for {}.", "Write JSON that describes {}.", "Generate a JSON object for {}."])
    text = json.dumps(value, indent=2)
    return ask.format(what), f"```json\n{text}\n```" if rng.random() < 0.7 else text


def json_array(rng: Random) -> tuple[str, str]:
    count = rng.randrange(2, 4)
    people = [{"name": name, "age": rng.randrange(18, 70), "city": rng.choice(CITIES)} for name in rng.sample(NAMES, count)]
    ask = rng.choice(["Write a JSON array with {} people.", "Give me a JSON list of {} persons.", "Create a JSON array of {} users."])
    return ask.format(rng.choice([str(count), {2: "two", 3: "three"}[count]])), "```json\n" + json.dumps(people, indent=2) + "\n```"


def table(rng: Random) -> tuple[str, str]:
    roll = rng.random()
    if roll < 0.4:
        what, header = "countries and their capitals", ("Country", "Capital")
        rows = [(c, COUNTRIES[c][0]) for c in rng.sample(sorted(COUNTRIES), rng.randrange(3, 7))]
    elif roll < 0.6:
        what, header = "animals and where they live", ("Animal", "Home")
        rows = [(a, ANIMALS[a][1]) for a in rng.sample(sorted(ANIMALS), rng.randrange(3, 7))]
    elif roll < 0.8:
        what, header = "fruits and prices", ("Fruit", "Price")
        rows = [(f, f"{rng.randrange(1, 9)}.{rng.choice(['00', '20', '50', '90'])}") for f in rng.sample(FRUITS, rng.randrange(3, 7))]
    else:
        what, header = "people and their jobs", ("Name", "Job")
        rows = [(n, rng.choice(JOBS)) for n in rng.sample(NAMES, rng.randrange(3, 7))]
    ask = rng.choice(["Make a table of {}.", "Write a markdown table of {}.", "Show a table of {}.", "Create a table with {}."])
    lines = [f"| {header[0]} | {header[1]} |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows)]
    return ask.format(what), rng.choice(["", f"Here is a table of {what}:\n\n"]) + "\n".join(lines)


def counting(rng: Random) -> tuple[str, str]:
    start, end = rng.choice([1, 1, 1, 2, 5, 10]), rng.randrange(12, 31)
    ask = rng.choice([f"Count from {start} to {end}.", f"Write the numbers from {start} to {end}.", f"List the numbers from {start} to {end}."])
    return ask, ", ".join(map(str, range(start, end + 1)))


STRUCTURED_GENERATORS = [(simple_list, 8), (shopping_list, 5), (json_object, 9), (json_array, 3), (table, 7), (counting, 3)]
