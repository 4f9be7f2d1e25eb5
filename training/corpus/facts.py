"""Questions with one right answer: capitals, animals, opposites, arithmetic, units, meanings."""

from __future__ import annotations

from random import Random

from .words import ANIMALS, article

# country: (capital, continent, language, a famous thing)
COUNTRIES: dict[str, tuple[str, str, str, str]] = {
    "France": ("Paris", "Europe", "French", "the Eiffel Tower"), "Germany": ("Berlin", "Europe", "German", "the Brandenburg Gate"),
    "Italy": ("Rome", "Europe", "Italian", "the Colosseum"), "Spain": ("Madrid", "Europe", "Spanish", "the Prado Museum"),
    "Portugal": ("Lisbon", "Europe", "Portuguese", "the Belem Tower"), "Austria": ("Vienna", "Europe", "German", "its opera house"),
    "Poland": ("Warsaw", "Europe", "Polish", "the Royal Castle"), "Sweden": ("Stockholm", "Europe", "Swedish", "its many islands"),
    "Norway": ("Oslo", "Europe", "Norwegian", "its deep fjords"), "Denmark": ("Copenhagen", "Europe", "Danish", "the Little Mermaid"),
    "Finland": ("Helsinki", "Europe", "Finnish", "its thousands of lakes"), "Greece": ("Athens", "Europe", "Greek", "the Acropolis"),
    "Ireland": ("Dublin", "Europe", "English and Irish", "its green hills"), "Hungary": ("Budapest", "Europe", "Hungarian", "its thermal baths"),
    "Japan": ("Tokyo", "Asia", "Japanese", "Mount Fuji"), "China": ("Beijing", "Asia", "Chinese", "the Great Wall"),
    "India": ("New Delhi", "Asia", "Hindi and English", "the Taj Mahal"), "Thailand": ("Bangkok", "Asia", "Thai", "its golden temples"),
    "Vietnam": ("Hanoi", "Asia", "Vietnamese", "its rice fields"), "South Korea": ("Seoul", "Asia", "Korean", "its old palaces"),
    "Egypt": ("Cairo", "Africa", "Arabic", "the pyramids"), "Kenya": ("Nairobi", "Africa", "Swahili and English", "its national parks"),
    "Morocco": ("Rabat", "Africa", "Arabic", "its colorful markets"), "Nigeria": ("Abuja", "Africa", "English", "its music"),
    "Brazil": ("Brasilia", "South America", "Portuguese", "the Amazon rainforest"), "Peru": ("Lima", "South America", "Spanish", "Machu Picchu"),
    "Argentina": ("Buenos Aires", "South America", "Spanish", "the tango"), "Chile": ("Santiago", "South America", "Spanish", "the Atacama Desert"),
    "Canada": ("Ottawa", "North America", "English and French", "Niagara Falls"), "Mexico": ("Mexico City", "North America", "Spanish", "its ancient pyramids"),
    "Cuba": ("Havana", "North America", "Spanish", "its old cars"), "Australia": ("Canberra", "Australia", "English", "the Great Barrier Reef"),
}
OPPOSITES = dict(hot="cold", big="small", fast="slow", happy="sad", light="dark", old="young", hard="soft", high="low", early="late",
                 open="closed", rich="poor", strong="weak", wet="dry", full="empty", long="short", clean="dirty", loud="quiet",
                 up="down", day="night", thick="thin", near="far", easy="difficult", safe="dangerous", true="false")
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
EXPLAIN: dict[str, str] = {
    "the sun": "The sun is a star in the middle of our solar system. It gives us light and warmth. Without the sun, there would be no plants, no animals and no people on Earth.",
    "the moon": "The moon moves around the Earth. It takes about one month for one turn. It has no light of its own, but it reflects the light of the sun.",
    "rain": "Rain is water that falls from clouds. The sun warms the water of seas and rivers, and some of it rises into the air. High up it cools down, forms clouds and falls back as rain.",
    "a volcano": "A volcano is a mountain with an opening from which hot rock can flow. The hot rock comes from deep inside the Earth. When it cools down, it becomes hard stone.",
    "a computer": "A computer is a machine that follows instructions. The instructions are called a program. It can add numbers, store texts and pictures, and send messages to other computers.",
    "a computer program": "A computer program is a list of instructions. The computer follows them one after another. People write programs in special languages such as Python or JavaScript.",
    "the internet": "The internet connects computers all over the world. They send each other small packets of data. In this way people can read pages, write messages and watch films.",
    "gravity": "Gravity is the force that pulls things toward each other. The Earth pulls us down, and so we do not float away. It also keeps the moon on its path around the Earth.",
    "a rainbow": "A rainbow appears when the sun shines through drops of rain. The drops split the white light into many colors. The colors are red, orange, yellow, green, blue and violet.",
    "photosynthesis": "Photosynthesis is the way in which plants make their food. They take in water, air and light. From these they make sugar, and they give back oxygen.",
    "a democracy": "In a democracy the people decide who governs them. They vote in free elections. Everybody has the same rights, and the press is free.",
    "bread": "Bread is made of flour, water, salt and yeast. The dough rests until it has become bigger. Then it is baked in a hot oven.",
    "snow": "Snow is frozen water that falls from clouds. When it is very cold, tiny crystals of ice form in the air. They stick together and fall as white flakes.",
    "a language model": "A language model is a program that predicts the next word of a text. It has learned from many examples. It can answer questions and write stories, but it can also make mistakes.",
    "speculative decoding": "In speculative decoding a small model guesses the next few words. The large model checks all of them in one step. The right ones are kept, and so the text appears faster.",
    "a library": "A library is a place where many books are kept. People can read them there or borrow them for some weeks. Many libraries also have quiet rooms for work.",
    "wind": "Wind is moving air. The sun warms some places more than others, and warm air rises. Cooler air flows in to take its place, and we feel this as wind.",
    "a bee hive": "A bee hive is the home of bees. There is one queen, and there are thousands of workers. They collect nectar from flowers and make honey from it.",
}


def capital(rng: Random) -> tuple[str, str]:
    country = rng.choice(sorted(COUNTRIES))
    city, continent, language, famous = COUNTRIES[country]
    ask = rng.choice(["What is the capital of {}?"] * 4 + ["Which city is the capital of {}?", "Name the capital of {}.", "What's the capital of {}?", "Tell me the capital of {}.", "Capital of {}?"])
    more = rng.choice(["", f" It is known for {famous}.", f" People there speak {language}.", f" {country} is in {continent}."])
    return ask.format(country), f"The capital of {country} is {city}.{more}"


def about_country(rng: Random) -> tuple[str, str]:
    country = rng.choice(sorted(COUNTRIES))
    city, continent, language, famous = COUNTRIES[country]
    kind = rng.randrange(4)
    if kind == 0:
        return f"Which language do people speak in {country}?", f"In {country}, people speak {language}."
    if kind == 1:
        return f"On which continent is {country}?", f"{country} is in {continent}."
    if kind == 2:
        return f"Which country has the capital {city}?", f"{city} is the capital of {country}."
    ask = rng.choice(["Tell me about {}.", "What do you know about {}?", "Write a few sentences about {}."])
    return ask.format(country), (
        f"{country} is a country in {continent}. Its capital is {city}, and people there speak {language}. "
        f"It is famous for {famous}. Many visitors come to {country} every year, and most of them start their trip in {city}."
    )


def about_animal(rng: Random) -> tuple[str, str]:
    animal = rng.choice([a for a in sorted(ANIMALS) if a != "dragon"])
    trait, home, food, skill = ANIMALS[animal]
    kind = rng.randrange(4)
    if kind == 0:
        return f"What does {article(animal)} eat?", f"In our stories, {article(animal)} likes to eat {food}."
    if kind == 1:
        return f"Where does {article(animal)} live?", f"{article(animal).capitalize()} often lives in the {home}."
    if kind == 2:
        return f"What is {article(animal)} good at?", f"{article(animal).capitalize()} is good at {skill}."
    ask = rng.choice(["Describe {}.", "Tell me about {}.", "What is {}?", "Write a short description of {}."])
    return ask.format(article(animal)), (
        f"{article(animal).capitalize()} is an animal that often lives in the {home}. People say that it is {trait}. "
        f"It likes {food}, and it is very good at {skill}. If you are quiet and patient, you may see one near the {home}."
    )


def opposite(rng: Random) -> tuple[str, str]:
    word = rng.choice(sorted(OPPOSITES))
    first, second = (word, OPPOSITES[word]) if rng.random() < 0.5 else (OPPOSITES[word], word)
    return rng.choice(["What is the opposite of {}?", "What's the opposite of {}?", "Give me the opposite of {}."]).format(first), f"The opposite of {first} is {second}."


def arithmetic(rng: Random) -> tuple[str, str]:
    kind = rng.randrange(4)
    if kind == 0:
        a, b = rng.randrange(1, 21), rng.randrange(1, 21)
        sign, word, result = "+", "plus", a + b
    elif kind == 1:
        a, b = rng.randrange(5, 30), rng.randrange(1, 20)
        a, b = max(a, b), min(a, b)
        sign, word, result = "-", "minus", a - b
    else:
        a, b = rng.randrange(1, 11), rng.randrange(1, 11)
        sign, word, result = "*", "times", a * b
    ask = rng.choice([f"What is {a} {sign} {b}?", f"What is {a} {word} {b}?", f"Calculate {a} {sign} {b}.", f"How much is {a} {word} {b}?", f"{a} {sign} {b}"])
    return ask, rng.choice([f"{a} {sign} {b} = {result}", f"{a} {word} {b} is {result}."]) if rng.random() < 0.7 else f"The result of {a} {sign} {b} is {result}."


def word_problem(rng: Random) -> tuple[str, str]:
    from .words import FRUITS, NAMES

    name, fruit, a, b = rng.choice(NAMES), rng.choice(FRUITS), rng.randrange(2, 13), rng.randrange(2, 13)
    if rng.random() < 0.5 or a <= b:
        return (f"{name} has {a} {fruit} and buys {b} more. How many {fruit} does {name} have now?",
                f"{name} starts with {a} {fruit}. Then {name} buys {b} more. {a} + {b} = {a + b}, so {name} has {a + b} {fruit} now.")
    return (f"{name} has {a} {fruit} and gives away {b}. How many {fruit} are left?",
            f"{name} starts with {a} {fruit}. Then {name} gives away {b}. {a} - {b} = {a - b}, so {a - b} {fruit} are left.")


def explain(rng: Random) -> tuple[str, str]:
    thing = rng.choice(sorted(EXPLAIN))
    ask = rng.choice(["What is {}?", "Explain {}.", "Explain {} to a child.", "Can you explain {}?", "How does {} work?", "Tell me about {}.", "Describe {} in simple words."])
    start = rng.choice(["", "", "Sure! ", "Of course. ", "Here is a simple answer. "])
    return ask.format(thing), start + EXPLAIN[thing]


def greeting(rng: Random) -> tuple[str, str]:
    return rng.choice([
        ("Hello!", "Hello! How can I help you today?"), ("Hi", "Hi! What would you like to talk about?"),
        ("How are you?", "I am fine, thank you. How can I help you?"), ("Good morning!", "Good morning! I hope you have a nice day. What can I do for you?"),
        ("Thank you!", "You are welcome! Is there anything else I can do for you?"), ("Thanks", "You are welcome!"),
        ("What can you do?", "I can tell short stories, answer simple questions, write lists, tables, letters and small pieces of code. I am a very small model, so please check what I say."),
        ("Who are you?", "I am a very small language model. I was trained to show how speculative decoding works, and I know only simple things."),
        ("What is your name?", "I am Tiny Gemma 4, a very small language model. How can I help you?"),
        ("Tell me a joke.", "Why did the book go to the doctor? Because it had too many pages and a broken spine."),
        ("Tell me a joke about a cat.", "Why did the cat sit on the computer? It wanted to keep an eye on the mouse."),
        ("Good night!", "Good night! Sleep well, and see you tomorrow."), ("Bye", "Goodbye! Have a nice day."),
        ("Where do you live?", "I have no home. I am a program, and I run on your computer."),
    ])


FACT_GENERATORS = [(capital, 9), (about_country, 7), (about_animal, 7), (opposite, 3), (arithmetic, 5), (word_problem, 4), (explain, 9), (greeting, 3)]
