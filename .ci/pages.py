"""The pages that no notebook holds. Run after nbdev_proc_nbs, before Quarto:

    python .ci/pages.py    tidy _proc (tidy.py), write _proc/api.qmd and _proc/llms.txt
"""
import ast, html, json, re
from urllib.parse import urljoin
import yaml
from nbdev.doclinks import patch_name
from tidy import NBS, PROC, ROOT, SITE, page_of, symbols, tidy_all


# ---------------------------------------------------------------- the list of pages

def sidebar():
    "[(section, [file])] of the site's sidebar; what stands outside a section has section ''"
    settings = yaml.safe_load((ROOT/'_quarto.yml').read_text('utf-8'))
    return [('', [c]) if isinstance(c, str) else (c['section'], c['contents'])
            for c in settings['website']['sidebar']['contents']]


def head(file):
    "(title, description) of a page"
    if file.endswith('.ipynb'):
        first = json.loads((PROC/file).read_text('utf-8'))['cells'][0]
        text = ''.join(first['source'])
    else: text = (PROC/file).read_text('utf-8')
    front = yaml.safe_load(text.split('---')[1])
    return str(front['title']), ' '.join(str(front.get('description', '')).split())


def page(file):
    "The page made from a file in _proc"
    return page_of(file) if file.endswith('.ipynb') else file.replace('.qmd', '.html')


def llms():
    "llms.txt: the book for a language model (llmstxt.org)"
    about = yaml.safe_load((NBS/'nbdev.yml').read_text('utf-8'))['website']
    lines = [f"# {about['title']}", '', f"> {about['description']}"]
    for section, files in sidebar():
        lines += ['', f"## {section or 'Start'}", '']
        for file in files:
            title, description = head(file)
            about = f': {description}' if description else ''
            lines.append(f'- [{title}]({urljoin(SITE, page(file))}){about}')
    return '\n'.join(lines) + '\n'


# ---------------------------------------------------------------- the API

def documented(file):
    "{name: first line of its docstring} of the public functions, classes and methods of a module"
    functions, found = (ast.FunctionDef, ast.AsyncFunctionDef), {}
    for node in ast.parse((ROOT/file).read_text('utf-8')).body:
        if not isinstance(node, (*functions, ast.ClassDef)): continue
        names = patch_name(node)
        for name in [names] if isinstance(names, str) else names: found[name] = node
        if isinstance(node, ast.ClassDef):
            found |= {f'{node.name}.{n.name}': n for n in node.body if isinstance(n, functions)}
    return {name: (ast.get_docstring(node) or '').partition('\n')[0]
            for name, node in found.items() if not re.search(r'(^|\.)_', name)}


def headings(file):
    "Names that have a heading of their own on the page of a notebook"
    cells = json.loads((PROC/file).read_text('utf-8'))['cells']
    texts = [''.join(o.get('data', {}).get('text/markdown', ''))
             for c in cells for o in c.get('outputs', [])]
    return {m for t in texts for m in re.findall(r'^### (\S+)$', t, re.M)}


def row(name, line, to, shown):
    "A row of the API's table: the name, linked to its heading or its class's, and a line about it"
    at = next((n for n in (name, name.partition('.')[0]) if n in shown), None)
    anchor = f'#{at.lower()}' if at else ''
    about = re.sub('`([^`]+)`', r'<code>\1</code>', html.escape(line))
    link = f'<a href="{html.escape(to + anchor)}"><code>{html.escape(name)}</code></a>'
    return f'<tr><td>{link}</td><td>{about}</td></tr>'


def api():
    "The page of all public symbols, in the order of the sidebar"
    lines = ['---', 'title: API', 'toc-depth: 2', 'repo-actions: false', '---', '',
             'Every public function, class and method, with its place in the book.', '']
    for file in (f for _, files in sidebar() for f in files):
        names = symbols().get(page(file), {})
        docs = {k: v for f in {f for _, f in names.values()} for k, v in documented(f).items()}
        rows = [row(n, docs[n], page(file), headings(file)) for n in docs if n in names]
        if not rows: continue
        modules = ', '.join(f'`{m}`' for m in sorted({m for m, _ in names.values()}))
        lines += [f'## {head(file)[0]}', '', f'{modules}, from [this chapter]({file})', '',
                  '```{=html}', '<table class="table api"><tbody>', *rows, '</tbody></table>',
                  '```', '']
    return '\n'.join(lines)


def write():
    tidy_all()
    (PROC/'api.qmd').write_text(api(), 'utf-8')
    (PROC/'llms.txt').write_text(llms(), 'utf-8')


if __name__ == '__main__': write()
