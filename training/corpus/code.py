"""Short Python and JavaScript functions with a sentence around them."""

from __future__ import annotations

from random import Random

# what it does: (python name, python body, javascript name, javascript body, example argument and result)
FUNCTIONS: dict[str, tuple[str, str, str, str, str, str]] = {
    "adds two numbers": ("add(a, b)", "return a + b", "add(a, b)", "return a + b;", "2, 3", "5"),
    "multiplies two numbers": ("multiply(a, b)", "return a * b", "multiply(a, b)", "return a * b;", "4, 5", "20"),
    "subtracts two numbers": ("subtract(a, b)", "return a - b", "subtract(a, b)", "return a - b;", "9, 4", "5"),
    "reverses a string": ("reverse(text)", "return text[::-1]", "reverse(text)", "return text.split(\"\").reverse().join(\"\");", '"abc"', '"cba"'),
    "checks if a number is even": ("is_even(n)", "return n % 2 == 0", "isEven(n)", "return n % 2 === 0;", "4", "true"),
    "checks if a number is odd": ("is_odd(n)", "return n % 2 == 1", "isOdd(n)", "return n % 2 === 1;", "7", "true"),
    "computes the factorial of a number": ("factorial(n)", "if n <= 1:\n    return 1\nreturn n * factorial(n - 1)", "factorial(n)", "if (n <= 1) {\n  return 1;\n}\nreturn n * factorial(n - 1);", "5", "120"),
    "computes a Fibonacci number": ("fibonacci(n)", "a, b = 0, 1\nfor _ in range(n):\n    a, b = b, a + b\nreturn a", "fibonacci(n)", "let a = 0;\nlet b = 1;\nfor (let i = 0; i < n; i++) {\n  [a, b] = [b, a + b];\n}\nreturn a;", "7", "13"),
    "returns the largest number in a list": ("largest(numbers)", "best = numbers[0]\nfor number in numbers:\n    if number > best:\n        best = number\nreturn best", "largest(numbers)", "let best = numbers[0];\nfor (const number of numbers) {\n  if (number > best) {\n    best = number;\n  }\n}\nreturn best;", "[3, 9, 2]", "9"),
    "returns the sum of a list": ("total(numbers)", "result = 0\nfor number in numbers:\n    result += number\nreturn result", "total(numbers)", "let result = 0;\nfor (const number of numbers) {\n  result += number;\n}\nreturn result;", "[1, 2, 3]", "6"),
    "counts the words in a text": ("count_words(text)", "words = text.split()\nreturn len(words)", "countWords(text)", "const words = text.trim().split(/\\s+/);\nreturn words.length;", '"one two"', "2"),
    "checks if a word is a palindrome": ("is_palindrome(word)", "word = word.lower()\nreturn word == word[::-1]", "isPalindrome(word)", "const lower = word.toLowerCase();\nreturn lower === lower.split(\"\").reverse().join(\"\");", '"Anna"', "true"),
    "converts Celsius to Fahrenheit": ("to_fahrenheit(celsius)", "return celsius * 9 / 5 + 32", "toFahrenheit(celsius)", "return (celsius * 9) / 5 + 32;", "100", "212"),
    "removes duplicates from a list": ("unique(items)", "result = []\nfor item in items:\n    if item not in result:\n        result.append(item)\nreturn result", "unique(items)", "return [...new Set(items)];", "[1, 1, 2]", "[1, 2]"),
    "computes the average of a list": ("average(numbers)", "return sum(numbers) / len(numbers)", "average(numbers)", "const sum = numbers.reduce((a, b) => a + b, 0);\nreturn sum / numbers.length;", "[2, 4, 6]", "4"),
    "counts the vowels in a word": ("count_vowels(word)", "count = 0\nfor letter in word.lower():\n    if letter in \"aeiou\":\n        count += 1\nreturn count", "countVowels(word)", "let count = 0;\nfor (const letter of word.toLowerCase()) {\n  if (\"aeiou\".includes(letter)) {\n    count += 1;\n  }\n}\nreturn count;", '"banana"', "3"),
    "greets a person": ("greet(name)", "return \"Hello, \" + name + \"!\"", "greet(name)", "return `Hello, ${name}!`;", '"Anna"', '"Hello, Anna!"'),
    "sorts a list": ("sort_list(items)", "return sorted(items)", "sortList(items)", "return [...items].sort((a, b) => a - b);", "[3, 1, 2]", "[1, 2, 3]"),
}
PYTHON_WORDS = {"true": "True", "false": "False"}


def indent(body: str, width: int) -> str:
    """Indents a body; what is nested in it keeps its own step."""
    return "\n".join(" " * width + line for line in body.split("\n"))


def function(rng: Random) -> tuple[str, str]:
    task = rng.choice(sorted(FUNCTIONS))
    py_name, py_body, js_name, js_body, argument, result = FUNCTIONS[task]
    if rng.random() < 0.6:
        language, name = "Python", py_name.split("(")[0]
        doc = f"    \"\"\"{task.capitalize()}.\"\"\"\n" if rng.random() < 0.3 else ""
        source = f"def {py_name}:\n{doc}{indent(py_body, 4)}"
        result = PYTHON_WORDS.get(result, result)
        example = f"print({name}({argument}))  # {result}"
    else:
        language, name = "JavaScript", js_name.split("(")[0]
        source = f"function {js_name} {{\n{indent(js_body, 2)}\n}}"
        example = f"console.log({name}({argument})); // {result}"
    ask = rng.choice(["Write a {l} function that {t}.", "Write {l} code that {t}.", "Give me a {l} function that {t}.", "Show me a {l} function that {t}.", "How do I write a {l} function that {t}?"])
    opening = rng.choice(["", f"Here is a {language} function that {task}:\n\n", f"This {language} function {task}:\n\n"])
    closing = rng.choice(["", f"\n\nThe function `{name}` {task}. For example, `{name}({argument})` returns `{result}`."])
    show = f"\n\n{example}" if rng.random() < 0.6 else ""
    return ask.format(l=language, t=task), f"{opening}```{language.lower()}\n{source}{show}\n```{closing}"


def loop(rng: Random) -> tuple[str, str]:
    end = rng.choice([3, 5, 10, 20, 100])
    if rng.random() < 0.6:
        return rng.choice([f"Write a Python loop that prints the numbers from 1 to {end}.", f"Print the numbers from 1 to {end} in Python."]), f"```python\nfor number in range(1, {end + 1}):\n    print(number)\n```"
    return rng.choice([f"Write a JavaScript loop that prints the numbers from 1 to {end}.", f"Print the numbers from 1 to {end} in JavaScript."]), f"```javascript\nfor (let number = 1; number <= {end}; number++) {{\n  console.log(number);\n}}\n```"


def hello(rng: Random) -> tuple[str, str]:
    language, line = rng.choice([("Python", 'print("Hello, world!")'), ("JavaScript", 'console.log("Hello, world!");')])
    return f"Write hello world in {language}.", f"```{language.lower()}\n{line}\n```"


CODE_GENERATORS = [(function, 14), (loop, 2), (hello, 1)]
