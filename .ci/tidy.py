"""Tidy what nbdev wrote to _proc, before Quarto renders it: links to symbols, and signatures.

nbdev links every name in backticks to the first module that has it: words such as `fit` and `score`
lead to the wrong page, and inside a signature's code fence the link stands there as raw Markdown.
"""
import ast, json, os, re, sys
from pathlib import Path
from nbdev.config import get_config
from nbdev.doclinks import _get_exps, _nbpath2html

ROOT = Path(__file__).resolve().parent.parent
PROC, NBS = ROOT/'_proc', ROOT/'nbs'
sys.path.insert(0, str(ROOT))
SITE = get_config().doc_host + get_config().doc_baseurl + '/'


# ---------------------------------------------------------------- where each symbol is

def symbols():
    "{page: {name: (module, file)}} of all that the notebooks export"
    from erp_nbdev._modidx import d
    pages = {}
    for module, names in d['syms'].items():
        for full, (place, file) in names.items():
            page = place.partition('#')[0]
            pages.setdefault(page, {})[full.removeprefix(module + '.')] = module, file
    return pages


def columns():
    "Names of columns of the tables: in prose they are columns, whatever function shares the name"
    from erp_nbdev import tables
    schemas = [v for v in vars(tables).values() if hasattr(v, 'columns') and hasattr(v, 'unique')]
    return {c for s in schemas for c in s.columns}


def page_of(notebook):
    "The page that is made from a notebook: 'machinery/errors.html'"
    return _nbpath2html(Path(notebook)).as_posix()


def imports(notebook):
    "{name: module} of what a notebook imports from the package"
    cells = json.loads((NBS/notebook.relative_to(PROC)).read_text('utf-8'))['cells']
    found = {}
    for cell in cells:
        if cell['cell_type'] != 'code': continue
        try: tree = ast.parse(''.join(cell['source']))
        except SyntaxError: continue    # a magic
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.level or 'erp_nbdev' in node.module):
                module = (node.module or '').removeprefix('erp_nbdev').lstrip('.')
                found |= {a.asname or a.name: 'erp_nbdev.' + module for a in node.names}
    return found


class Places:
    "Where a name in backticks leads, on one page"
    def __init__(self, notebook, pages, columns):
        self.here, self.pages, self.columns = page_of(notebook.relative_to(PROC)), pages, columns
        self.imports = imports(notebook)

    def page(self, name):
        "The page that defines `name`; None where that is not certain"
        if name in self.columns: return None
        if name in self.pages.get(self.here, {}): return self.here
        found = [p for p, names in self.pages.items() if name in names]
        base = name.partition('.')[0]
        if base in self.imports:
            found = [p for p in found if self.pages[p][name][0] == self.imports[base]]
        elif not re.search('[A-Z_.]', name): return None    # a word of English, or a method
        return found[0] if len(found) == 1 else None

    def link(self, match):
        name = match[1].strip('`').removesuffix('()')
        page = self.page(name)
        if page is None: return match[1]
        to = os.path.relpath(page, Path(self.here).parent)
        return f'[{match[1]}]({to}#{name.lower()})'


# ---------------------------------------------------------------- tidying what nbdev wrote

TO_SYMBOL = re.compile(r'\[(`[^`\]]+`)\]\(' + re.escape(SITE) + r'[^)\s]*\)')
FENCE = re.compile(r'(^```.*?^```)', re.M | re.S)
NOISE = ((r':(?:Annotated|NoneType)\b', ''),                          # not the types
         (r'^ *self(?::\w+)?,?(?: *#.*)?\n', ''), (r'\bself(?::\w+)?(?:, *|(?=\)))', ''))
CALL = '\n*Call self as a function.*\n'    # what nbdev says of a function without a docstring


def signature(code):
    "A signature in a code fence: without links, types that are none, and `self`"
    code = TO_SYMBOL.sub(lambda m: m[1].strip('`'), code)
    for pattern, to in NOISE: code = re.sub(pattern, to, code, flags=re.M)
    return re.sub(r'\(\s*\)', '()', code)


def source_link(text, names):
    "nbdev looks a name up in the first module that has it; the page's own is right"
    name = re.search(r'^#+ (\S+)$', text, re.M)
    if not name or name[1] not in names: return text
    file = names[name[1]][1]
    line = _get_exps(file).get(name[1])
    at = f'#L{line}' if line else ''
    return re.sub(r'(?<=/blob/)([^/]+)/[^)]*', rf'\1/{file}{at}', text, count=1)


def tidy_text(text, places, shown=False):
    parts = FENCE.split(text)
    parts[::2] = [TO_SYMBOL.sub(places.link, p) for p in parts[::2]]
    parts[1::2] = [signature(p) if shown else p for p in parts[1::2]]
    text = ''.join(parts)
    if not shown: return text
    text = (text + '\n').replace(CALL, '\n').rstrip() + '\n'
    return source_link(text, places.pages.get(places.here, {}))


def tidy(notebook, pages, columns):
    nb, places = json.loads(notebook.read_text('utf-8')), Places(notebook, pages, columns)
    def new(lines, shown=False): return tidy_text(''.join(lines), places, shown).splitlines(True)
    for cell in nb['cells']:
        shown = 'show_doc(' in ''.join(cell['source'])
        if cell['cell_type'] == 'markdown': cell['source'] = new(cell['source'])
        for data in (o.get('data', {}) for o in cell.get('outputs', [])):
            if 'text/markdown' in data: data['text/markdown'] = new(data['text/markdown'], shown)
    notebook.write_text(json.dumps(nb, ensure_ascii=False, indent=1) + '\n', 'utf-8')


def tidy_all():
    "Every notebook in _proc"
    pages, names = symbols(), columns()
    for notebook in PROC.rglob('*.ipynb'): tidy(notebook, pages, names)


def faults():
    "What is left to tidy in _proc"
    for notebook in sorted(PROC.rglob('*.ipynb')):
        here = notebook.relative_to(PROC)
        for cell in json.loads(notebook.read_text('utf-8'))['cells']:
            shown = [''.join(o.get('data', {}).get('text/markdown', ''))
                     for o in cell.get('outputs', [])]
            for text in [''.join(cell['source']), *shown]:
                code = '\n'.join(FENCE.split(text)[1::2])
                if '](http' in code: yield f'{here}: a raw link in a code fence: {code[:80]}'
                if TO_SYMBOL.search(text): yield f'{here}: not tidied: {text[:80]}'
            if 'show_doc(' in ''.join(cell['source']) and CALL.strip() in ''.join(shown):
                yield f'{here}: not tidied: {"".join(cell["source"])[:80]}'
