"""Prompts with a checkable answer, in four categories, and the checker that grades a response to them.

A task is a function of a random number generator that returns a question and its good answers. `draw` picks tasks by weight and
yields prompts; `check` grades a response in [0, 1]. Nothing here knows about language models.
"""
import re
from dataclasses import dataclass
from difflib import SequenceMatcher

CATEGORIES = ('coding', 'math', 'instruction following', 'general chat')


@dataclass(frozen=True)
class Prompt:
    "One question and what counts as a good answer to it."
    text: str
    category: str
    task: str
    kind: str       # how `check` grades it: 'text', 'number', 'choice' or 'letter'
    answers: tuple  # the good answers; any of them earns the full score


TASKS = {}  # name -> (category, kind, function)


def task(category, kind='text'):
    "Register a task: `f(rng)` returns a question and an answer, or a list of answers."
    def register(f):
        TASKS[f.__name__] = (category, kind, f)
        return f
    return register


def say(rng, *templates, **fields):
    "One of the wordings, filled in."
    return rng.choice(templates).format(**fields)


# ---------------------------------------------------------------------------------------------------------------- vocabulary

WORDS = '''cat dog sun map pen cup box hat key bus fox owl ant bee jam milk tree fish bird moon star lamp door ring boat frog cake leaf
rain snow wind gold silk bread chair table house mouse horse river stone cloud plant grape lemon peach tiger zebra eagle robot piano
train truck garden window bridge flower rabbit monkey planet rocket silver castle island forest ticket basket candle pencil kitchen
blanket diamond dolphin chicken village mountain elephant triangle notebook hospital umbrella'''.split()
NAMES = 'Tom Anna Mia Ben Sara Leo Nina Max Eva Paul Lucy Omar Kate Jack Rosa Sam'.split()
THINGS = 'apples books coins cards shells stamps marbles pens'.split()
ANIMALS = 'ant bear cat dog eagle fox goat horse jackal koala lion mouse newt owl pig rabbit snake tiger wolf zebra'.split()
FRUITS = 'apple banana cherry date fig grape kiwi lemon mango orange peach raspberry'.split()
CAPITALS = dict(France='Paris', Italy='Rome', Spain='Madrid', Germany='Berlin', Japan='Tokyo', Egypt='Cairo', Norway='Oslo', Peru='Lima',
    Greece='Athens', Austria='Vienna', Poland='Warsaw', Ireland='Dublin', Kenya='Nairobi', Cuba='Havana', Russia='Moscow', China='Beijing',
    Portugal='Lisbon', Sweden='Stockholm', Hungary='Budapest', Canada='Ottawa', Finland='Helsinki', Chile='Santiago', Iran='Tehran', Iraq='Baghdad')
OPPOSITES = dict(hot='cold', big='small', fast='slow', happy='sad', up='down', old='young', rich='poor', light='dark', early='late', hard='soft',
    open='closed', wet='dry', full='empty', loud='quiet', high='low', near='far', clean='dirty', thick='thin', long='short', brave='afraid',
    strong='weak', sweet='bitter', deep='shallow', wide='narrow', cheap='expensive', ancient='modern')
COLOURS = dict(grass='green', snow='white', coal='black', blood='red', banana='yellow', sky='blue', chocolate='brown', carrot='orange', tomato='red',
    elephant='grey', flamingo='pink', lemon='yellow', frog='green', milk='white', cherry='red', ocean='blue', eggplant='purple', raven='black')
SOUNDS = dict(cow='moo', dog='woof', cat='meow', duck='quack', sheep='baa', lion='roar', snake='hiss', bee='buzz', horse='neigh', owl='hoot',
    pig='oink', mouse='squeak')
KINDS = dict(carrot='vegetable', apple='fruit', potato='vegetable', pear='fruit', onion='vegetable', cherry='fruit', spinach='vegetable', plum='fruit',
    cabbage='vegetable', mango='fruit', leek='vegetable', melon='fruit')
DAYS = 'Monday Tuesday Wednesday Thursday Friday Saturday Sunday'.split()
MONTHS = 'January February March April May June July August September October November December'.split()
GOOD_NEWS = ['I got a new job', 'I won the race', 'I passed my exam', 'my sister had a baby', 'we are going on holiday', 'my team won', 'I finished my book']
BAD_NEWS = ['I lost my keys', 'my dog is ill', 'I missed the train', 'I failed my exam', 'it rained on my party', 'I broke my phone', 'I feel lonely']
OPENERS = ['Please help me. ', 'Quick question: ', 'Hey, ', 'Hello! ', 'One more thing. ', 'I wonder. ', 'Tell me: ', 'For my homework: ']
CLOSERS = [' Thanks!', ' Thank you.', ' Be brief.', ' Answer only.', ' Cheers!']


def numbers(rng, digits=(1, 1, 2, 2, 3), n=2):
    "`n` numbers of the same length: how hard a sum is can be seen from it."
    d = rng.choice(digits)
    return [rng.randint(10 ** (d - 1) if d > 1 else 1, 10 ** d - 1) for _ in range(n)]


def number(rng, digits=(1, 2, 2, 3)):
    "One number, of one to three digits."
    return numbers(rng, digits, 1)[0]


# -------------------------------------------------------------------------------------------------------------------- coding

PRINTS = ('What does this Python print? {e}', 'Give the output of this Python code: {e}', 'In Python, what will {e} show?', 'Run {e} and tell me the result.',
          'I typed {e} into Python. What came out?')


@task('coding')
def string_method(rng):
    w = rng.choice(WORDS)
    e = rng.choice([f"'{w}'.upper()", f"'{w}'.title()", f"'{w}' + 's'", f"'{w}' * 2", f"'{w}'[::-1]", f"'{w}'.replace('{w[1]}', 'x')"])
    return say(rng, *PRINTS, e=f'print({e})'), eval(e)


@task('coding')
def string_slice(rng):
    w, i = rng.choice(WORDS), rng.randint(1, 4)
    e = rng.choice([f"'{w}'[:{i}]", f"'{w}'[-{i}:]", f"'{w}'[{i}:]", f"'{w}'[0]", f"'{w}'[-1]"])
    return say(rng, *PRINTS, e=f'print({e})'), eval(e)


@task('coding', 'number')
def length(rng):
    w, i = rng.choice(WORDS), rng.randint(1, 5)
    e = rng.choice([f"len('{w}')", f"len('{w}') + {i}", f"'{w}'.count('{rng.choice(w)}')", f"len('{w}' * {rng.randint(2, 3)})"])
    return say(rng, *PRINTS, e=f'print({e})'), str(eval(e))


@task('coding')
def list_expression(rng):
    xs = [rng.randint(1, 9) for _ in range(rng.randint(2, 5))]
    e = rng.choice([f'sorted({xs})', f'{xs}[::-1]', f'{xs}[1:]', f'{xs}[:2]', f'[x + 1 for x in {xs}]'])
    return say(rng, *PRINTS, e=f'print({e})'), str(eval(e))


@task('coding', 'number')
def list_number(rng):
    xs = [rng.randint(1, 9) for _ in range(rng.randint(2, 5))]
    e = rng.choice([f'max({xs})', f'min({xs})', f'sum({xs})', f'len({xs})', f'{xs}[0]', f'{xs}[-1]'])
    return say(rng, *PRINTS, e=f'print({e})'), str(eval(e))


@task('coding')
def ranges(rng):
    a, n, step = rng.randint(0, 9), rng.randint(2, 4), rng.randint(1, 3)
    e = f'list(range({a}, {a + n * step}, {step}))' if step > 1 else f'list(range({a}, {a + n}))'
    return say(rng, *PRINTS, 'Which list does {e} give?', e=e), str(eval(e))


@task('coding', 'choice')
def boolean(rng):
    a, b, c = (rng.randint(1, 20) for _ in range(3))
    e = rng.choice([f'{a} < {b}', f'{a} == {b}', f'{a} > {b} and {b} > {c}', f'{a} < {b} or {b} < {c}', f'not {a} > {b}', f'{a} % 2 == 0'])
    return say(rng, 'Is {e} True or False in Python?', 'Evaluate the Python condition {e}.', 'True or False? {e}', e=e), str(eval(e))


@task('coding')
def write_slice(rng):
    v, n = rng.choice(['s', 'xs', 'text', 'line', 'items', 'row']), rng.randint(2, 9)
    what, code = rng.choice([('the first {n} elements', '{v}[:{n}]'), ('the last {n} elements', '{v}[-{n}:]'), ('all but the first {n} elements', '{v}[{n}:]'),
        ('all but the last {n} elements', '{v}[:-{n}]'), ('every {n}th element', '{v}[::{n}]'), ('the elements in reverse order', '{v}[::-1]')])
    text = say(rng, 'Write a Python slice for {w} of {v}.', 'How do I get {w} of {v} in Python?', 'Python code for {w} of {v}?', 'Give me {w} of {v} as a slice.',
               w=what.format(n=n), v=v)
    return text, code.format(v=v, n=n)


@task('coding')
def write_code(rng):
    v, n = rng.choice(['x', 'n', 'total', 'nums', 'count', 'data']), rng.randint(2, 30)
    what, code = rng.choice([('sorts {v}', 'sorted({v})'), ('gives the length of {v}', 'len({v})'), ('adds {n} to {v}', '{v} + {n}'), ('prints {v}', 'print({v})'),
        ('checks whether {v} is larger than {n}', '{v} > {n}'), ('sets {v} to {n}', '{v} = {n}'), ('checks whether {v} equals {n}', '{v} == {n}')])
    text = say(rng, 'Write Python that {w}.', 'Which line of Python {w}?', 'I need code that {w}.', 'Show me the Python expression that {w}.', w=what.format(v=v, n=n))
    return text, code.format(v=v, n=n)


@task('coding')
def fix_code(rng):
    w, v, n = rng.choice(WORDS), rng.choice(['x', 'n', 'nums', 'data']), rng.randint(1, 20)
    bad, good = rng.choice([(f"print('{w}'", f"print('{w}')"), (f"prnt('{w}')", f"print('{w}')"), (f'if {v} > {n}', f'if {v} > {n}:'), (f'len {v}', f'len({v})'),
                            (f'{v} == {n};', f'{v} == {n}'), (f"print('{w})", f"print('{w}')")])
    return say(rng, 'Fix this Python line: {b}', 'There is a bug in {b} What should it be?', 'Correct the syntax: {b}', 'Python says syntax error: {b}', b=bad), good


# ---------------------------------------------------------------------------------------------------------------------- math

@task('math', 'number')
def addition(rng):
    a, b = numbers(rng)
    return say(rng, 'What is {a} + {b}?', 'Add {a} and {b}.', 'Compute {a} + {b}.', 'How much is {a} plus {b}?', 'Find the sum of {a} and {b}.', '{a} + {b} = ?', a=a, b=b), str(a + b)


@task('math', 'number')
def subtraction(rng):
    b, a = sorted(numbers(rng))
    return say(rng, 'What is {a} - {b}?', 'Subtract {b} from {a}.', 'Compute {a} - {b}.', 'How much is {a} minus {b}?', 'Take {b} away from {a}.', a=a, b=b), str(a - b)


@task('math', 'number')
def multiplication(rng):
    a, b = number(rng, (1, 1, 1, 2)), rng.randint(2, 9)
    return say(rng, 'What is {a} times {b}?', 'Multiply {a} by {b}.', 'Compute {a} * {b}.', 'Find the product of {a} and {b}.', a=a, b=b), str(a * b)


@task('math', 'number')
def word_problem_more(rng):
    (a, b), n, t = numbers(rng, (1, 1, 2)), rng.choice(NAMES), rng.choice(THINGS)
    return say(rng, '{n} has {a} {t} and buys {b} more. How many {t} does {n} have now?', 'There are {a} {t} on a table and {b} in a box. How many {t} in all?',
               '{n} found {a} {t} today and {b} {t} yesterday. How many together?', n=n, a=a, b=b, t=t), str(a + b)


@task('math', 'number')
def word_problem_less(rng):
    b, a = sorted(numbers(rng, (1, 1, 2)))
    n, t = rng.choice(NAMES), rng.choice(THINGS)
    return say(rng, '{n} had {a} {t} and lost {b}. How many {t} are left?', '{n} has {a} {t} and gives away {b}. How many {t} remain?',
               'Of {a} {t}, {n} sold {b}. How many are left?', n=n, a=a, b=b, t=t), str(a - b)


@task('math', 'number')
def word_problem_times(rng):
    a, b, n, t = rng.randint(2, 9), rng.randint(2, 9), rng.choice(NAMES), rng.choice(THINGS)
    return say(rng, 'Each box holds {a} {t}. How many {t} are in {b} boxes?', '{n} buys {b} bags of {a} {t} each. How many {t} is that?',
               '{n} reads {a} pages a day. How many pages in {b} days?', n=n, a=a, b=b, t=t), str(a * b)


@task('math', 'number')
def compare(rng):
    xs = numbers(rng, n=rng.randint(2, 4))
    f, w = rng.choice([(max, 'largest'), (min, 'smallest')])
    return say(rng, 'Which number is the {w}: {x}?', 'Find the {w} of {x}.', 'Of the numbers {x}, name the {w}.', w=w, x=', '.join(map(str, xs))), str(f(xs))


@task('math', 'number')
def sequence(rng):
    a, d = rng.choice([rng.randint(1, 9), rng.randint(10, 60)]), rng.randint(1, 6)
    x = ', '.join(str(a + d * i) for i in range(4))
    return say(rng, 'What comes next: {x}?', 'Continue the sequence {x}.', 'Find the next number in {x}.', x=x), str(a + 4 * d)


@task('math', 'number')
def double_half(rng):
    a, half = number(rng, (1, 2, 2)), rng.random() < .5
    return say(rng, 'What is {w} {x}?', 'Find {w} {x}.', 'Can you work out {w} {x}?', w='half of' if half else 'twice', x=2 * a if half else a), str(a if half else 2 * a)


@task('math', 'choice')
def parity(rng):
    a = number(rng)
    return say(rng, 'Is {a} even or odd?', 'Is the number {a} odd or even?', 'Even or odd: {a}?', a=a), 'odd' if a % 2 else 'even'


@task('math', 'number')
def rounding(rng):
    a, to = rng.choice([(number(rng, (2, 2, 3)), 10), (number(rng, (3,)), 100)])
    return say(rng, 'Round {a} to the nearest {t}.', 'What is {a} rounded to the nearest {t}?', a=a, t={10: 'ten', 100: 'hundred'}[to]), str((a + to // 2) // to * to)


# ----------------------------------------------------------------------------------------------------- instruction following

@task('instruction following')
def reverse(rng):
    w = rng.choice(WORDS)
    return say(rng, 'Spell {w} backwards.', 'Reverse the word {w}.', 'Write the letters of {w} in reverse order.', 'Turn {w} around, letter by letter.', w=w), w[::-1]


@task('instruction following')
def shout(rng):
    w = ' '.join(rng.sample(WORDS, rng.randint(1, 3)))
    return say(rng, 'Write {w} in capital letters.', 'Put this in upper case: {w}', 'Shout the following: {w}', 'Convert to capitals: {w}', w=w), w.upper()


@task('instruction following')
def repeat(rng):
    w, n = rng.choice(WORDS[:60]), rng.randint(2, 4)
    return say(rng, 'Say {w} {n} times.', 'Repeat the word {w} {n} times.', 'Write {w} exactly {n} times.', w=w, n=['', '', 'two', 'three', 'four'][n]), ' '.join([w] * n)


@task('instruction following')
def sort_words(rng):
    ws = rng.sample(WORDS[:70], rng.randint(2, 3))
    return say(rng, 'Sort these words alphabetically: {w}', 'Put in alphabetical order: {w}', 'Arrange from a to z: {w}', w=' '.join(ws)), ' '.join(sorted(ws))


@task('instruction following', 'choice')
def pick_letter(rng):
    w, (i, which) = rng.choice(WORDS), rng.choice([(0, 'first'), (-1, 'last'), (1, 'second'), (2, 'third')])
    return say(rng, 'Answer with the {i} letter of {w}.', 'What is the {i} letter of the word {w}?', 'Give only the {i} letter of {w}.', i=which, w=w), w[i]


@task('instruction following')
def exactly(rng):
    w = ' '.join(rng.sample(WORDS, rng.randint(1, 2)))
    return say(rng, 'Reply with exactly this: {w}', 'Answer only with {w}', 'Say {w} and nothing else.', 'Copy this text: {w}', w=w), w


@task('instruction following')
def punctuate(rng):
    w = rng.choice(WORDS)
    how, out = rng.choice([('in double quotes', f'"{w}"'), ('in brackets', f'({w})'), ('with an exclamation mark', f'{w}!'), ('with a full stop', f'{w}.'), ('between stars', f'*{w}*')])
    return say(rng, 'Write {w} {h}.', 'Give me {w} {h}.', 'Put the word {w} {h}.', w=w, h=how), out


@task('instruction following')
def commas(rng):
    ws = rng.sample(WORDS[:60], rng.randint(2, 3))
    sep, name = rng.choice([(', ', 'commas'), ('-', 'dashes'), (' and ', 'the word and')])
    return say(rng, 'Join with {n}: {w}', 'Separate these words with {n}: {w}', 'List {w} using {n}.', n=name, w=' '.join(ws)), sep.join(ws)


@task('instruction following', 'letter')
def starts_with(rng):
    name, pool = rng.choice([('animal', ANIMALS), ('fruit', FRUITS)])
    a = rng.choice(pool)
    text = say(rng, 'Name one {k} that starts with {c}.', 'Give a single {k} beginning with the letter {c}.', 'Tell me one {k} whose name starts with {c}.', k=name, c=a[0])
    return text, [w for w in pool if w[0] == a[0]]


@task('instruction following')
def replace(rng):
    w = rng.choice(WORDS)
    c = rng.choice(w)
    return say(rng, 'Replace each {c} in {w} with a star.', 'Write {w} with * for every {c}.', 'Hide the letter {c} of {w} behind a star.', c=c, w=w), w.replace(c, '*')


@task('instruction following', 'number')
def count_words(rng):
    ws = ' '.join(rng.sample(WORDS, rng.randint(2, 6)))
    return say(rng, 'Answer with a number: how many words are in {w}', 'Count the words and reply with a digit: {w}', w=ws), str(len(ws.split()))


# -------------------------------------------------------------------------------------------------------------- general chat

@task('general chat')
def introduction(rng):
    n = rng.choice(NAMES)
    text = say(rng, "Hi, I'm {n}.", 'My name is {n}. What is yours?', 'Good morning, {n} here!', 'Hey there! People call me {n}.', '{n} is my name, nice to meet you.', n=n)
    return text, [f'Hello {n}, nice to meet you.', f'Hi {n}, how are you?']


@task('general chat')
def wish(rng):
    n, r = rng.choice(NAMES), rng.choice(['sister', 'brother', 'friend', 'uncle', 'boss', 'teacher'])
    what, out = rng.choice([('a happy birthday', 'Happy birthday, {n}!'), ('good luck', 'Good luck, {n}!'), ('a good night', 'Good night, {n}!'), ('a safe trip', 'Safe travels, {n}!'),
                            ('a quick recovery', 'Get well soon, {n}!')])
    text = say(rng, 'Please wish my {r} {n} {w}.', 'Could you wish {n}, my {r}, {w}?', 'I want to wish my {r} {n} {w}. What should I say?', r=r, n=n, w=what)
    return text, out.format(n=n)


@task('general chat')
def opposite(rng):
    a, b = rng.choice(list(OPPOSITES.items()))
    a, b = rng.choice([(a, b), (b, a)])
    return say(rng, 'What is the opposite of {a}?', 'Which word means the opposite of {a}?', 'If something is not {a}, what is it?', 'I am looking for the antonym of {a}.', a=a), b


@task('general chat')
def capital(rng):
    c = rng.choice(list(CAPITALS))
    return say(rng, 'What is the capital of {c}?', 'Which city is the capital of {c}?', 'I am flying to the capital of {c}. Where is that?', 'Do you know the capital city of {c}?', c=c), CAPITALS[c]


@task('general chat')
def country(rng):
    c = rng.choice(list(CAPITALS))
    return say(rng, 'Which country is {c} in?', 'I live in {c}. In which country is that?', '{c} is the capital of what country?', c=CAPITALS[c]), c


@task('general chat')
def colour(rng):
    t = rng.choice(list(COLOURS))
    return say(rng, 'What colour is {t} usually?', 'Which colour would you paint {t}?', 'My child asks: what colour is {t}?', 'Describe the colour of {t}.', t=t), COLOURS[t]


@task('general chat')
def sound(rng):
    a = rng.choice(list(SOUNDS))
    return say(rng, 'What sound does a {a} make?', 'How does a {a} sound?', 'What does the {a} say?', 'Imitate a {a} for me.', a=a), SOUNDS[a]


@task('general chat')
def good_news(rng):
    t, n = rng.choice(GOOD_NEWS), rng.choice(NAMES)
    return say(rng, 'Guess what, {t}!', 'I am so happy, {t}.', 'Great day: {t}!', '{n} here, {t}!', t=t, n=n), ['That is great news!', 'Congratulations!']


@task('general chat')
def bad_news(rng):
    t, n = rng.choice(BAD_NEWS), rng.choice(NAMES)
    return say(rng, 'I am sad, {t}.', 'Oh no, {t}.', 'Bad day: {t}.', '{n} here. Sadly {t}.', t=t, n=n), ['I am sorry to hear that.', 'Oh no, I am sorry.']


@task('general chat')
def calendar(rng):
    names, word = rng.choice([(DAYS, 'day'), (MONTHS, 'month')])
    i, d, where = rng.randrange(len(names)), *rng.choice([(1, 'after'), (-1, 'before')])
    return say(rng, 'Which {k} comes {w} {a}?', 'What {k} is right {w} {a}?', 'Tell me the {k} just {w} {a}.', k=word, w=where, a=names[i]), names[(i + d) % len(names)]


@task('general chat', 'choice')
def food(rng):
    t = rng.choice(list(KINDS))
    return say(rng, 'Is {t} a fruit or a vegetable?', 'Would you call {t} a vegetable or a fruit?', 'My son thinks {t} is a fruit. Fruit or vegetable?', t=t), KINDS[t]


@task('general chat')
def courtesy(rng):
    n = rng.choice(NAMES)
    said, out = rng.choice([('Thank you so much', 'You are welcome, {n}.'), ('Good night', 'Sleep well, {n}.'), ('I have to go now', 'Goodbye, {n}.'), ('How are you', 'I am fine, {n}.'),
                            ('Sorry for the delay', 'No problem, {n}.'), ('See you tomorrow', 'See you then, {n}.')])
    return say(rng, '{s}! This is {n}.', '{s}, {n} says.', 'From {n}: {s}!', '{s}. Yours, {n}', s=said, n=n), out.format(n=n)


# ------------------------------------------------------------------------------------------------------- drawing and grading

def draw(rng, weights=None):
    "An endless stream of prompts; `weights` maps a task or a category to its relative frequency (a task's own weight wins)."
    names = list(TASKS)
    size = {c: sum(TASKS[n][0] == c for n in names) for c in CATEGORIES}
    w = [(weights or {}).get(n, (weights or {}).get(TASKS[n][0], 1) / size[TASKS[n][0]]) for n in names]
    while True:
        name = rng.choices(names, w)[0]
        category, kind, f = TASKS[name]
        text, answers = f(rng)
        if rng.random() < .3: text = rng.choice(OPENERS) + text
        if rng.random() < .15 and text[-1] in '?.' and category != 'instruction following': text += rng.choice(CLOSERS)
        yield Prompt(text, category, name, kind, tuple(answers) if isinstance(answers, list) else (answers,))


def distinct(rng, per_category, exclude=()):
    "`per_category` prompts in each category, no two alike and none in `exclude` (texts)."
    out, seen, left = [], set(exclude), dict.fromkeys(CATEGORIES, per_category)
    for p in draw(rng):
        if p.text in seen or not left[p.category]: continue
        seen.add(p.text); out.append(p); left[p.category] -= 1
        if not any(left.values()): return sorted(out, key=lambda p: CATEGORIES.index(p.category))


def similarity(a, b):
    "Character similarity in [0, 1]: twice the matching characters over the total (Ratcliff and Obershelp)."
    return SequenceMatcher(None, a, b, autojunk=False).ratio()


def digits_right(a, b):
    "The share of decimal places, units below units, in which two numbers agree; 0 when `a` is no number."
    if not re.fullmatch(r'\d+', a): return 0.
    n = max(len(a), len(b))
    return sum(x == y for x, y in zip(a.zfill(n), b.zfill(n))) / n


def check(prompt, response):
    """Grade a response in [0, 1]. A good answer earns 1, whatever the kind. Otherwise: 'text', 0.8 × similarity² to the nearest
    answer; 'number', 0.8 × the share of right digits; 'letter', 0.4 for the right first letter; 'choice', nothing."""
    if response in prompt.answers: return 1.
    if prompt.kind == 'text': return .8 * max(similarity(response, a) for a in prompt.answers) ** 2
    if prompt.kind == 'number': return .8 * digits_right(response, prompt.answers[0])
    if prompt.kind == 'letter': return .4 * response.startswith(prompt.answers[0][0])
    return 0.
