"""What a routed pool scores where the reward is the task's own, beside each of its models; and what it costs in dollars.

    python benchmarks/downstream.py [--splits 20] [--price middle|lowest] [--out benchmarks/results] [TABLE…]

Tables, vectors, splits and router (`ShrunkProbes`) are those of `comparison.py`. Nothing is chosen on the test half.

Scores: mean reward on the test half: accuracy (korbench, mmlu_pro), win rate over GPT-4 Turbo (alpaca_eval), task metric (llmrouter). `2.5 %`, `97.5 %`:
of the splits. `routed −`: the routed pool less this row, prompt by prompt over all splits; `low`, `high`: 95 % of 2,000 bootstraps over
prompts (over rules, where prompts share one). `won`, `tied`, `lost`: by the routed pool, in splits.

Dollars, for models with a known size, answer lengths and a price in `prices.yaml` (the middle one of its hosts, the lower of two; or the lowest). A call
costs input price × prompt tokens + output price × answer tokens; a token is four characters. Answer tokens are predicted by `ExpectedRewardProbes`, of
tokens or of their logarithm, whichever errs less on five folds of the training half, model by model. Equation (4) is solved for budgets in dollars per
1,000 prompts by the best predicted reward − λ·cost. The routers differ only in what they believe a call costs: `parameters` (at the mean dollars of a
parameter), the model's `mean dollars`, dollars `predicted` for the prompt; and a control, `prompt known`: this prompt's tokens, the model's mean answer.
λ is the smallest that holds the budget on the training half, predicted out of fold: as believed, or as spent there. `mixture`, a mark: the best two
models for the budget, drawn with no look at the prompt, shares from the training half. Budgets lie between the cheapest and the dearest model.
"""
import argparse, os
for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): os.environ.setdefault(name, '1')
import matplotlib.pyplot as plt, numpy as np, pandas as pd, yaml
from collections import defaultdict
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from scipy.stats import spearmanr
from erp_nbdev.settings import read_experiment
from erp_nbdev.probes import ExpectedRewardProbes, r_squared
from erp_nbdev.routing import call_cost
from erp_nbdev.evaluation import CategoryBest
from erp_nbdev.shrinkage import ShrunkProbes, make_folds
from comparison import HERE, read

BELIEFS = {'parameters': ('#D55E00', 's'), 'mean dollars': ('#CC79A7', '^'), 'prompt known': ('#56B4E9', 'D'), 'predicted': ('#0072B2', 'o')}
LABEL, ORACLE = 'per-category best (label)', 'hindsight oracle'
MARKS = ['best single', 'best in hindsight', LABEL, 'random', 'routed, shuffled', ORACLE]
COLUMNS, HOLDS = ['table', 'seed', 'part', 'method', 'budget', 'metric', 'value'], 1 + 1e-9

class Ledger(defaultdict):
    "What each method earned, prompt by prompt, added up over splits"
    def __init__(self, clusters): super().__init__(lambda: np.zeros((2, len(clusters)))); self.clusters = clusters
    def add(self, method, rows, earned): self[method][:, rows] += earned, np.ones(len(earned))
    def less(self, a, b, draws=2000):
        "Mean difference between two methods and its bootstrap interval over clusters"
        seen, rng = self[a][1] > 0, np.random.default_rng(0)
        cluster = np.unique(self.clusters[seen], return_inverse=True)[1]
        total, times = np.bincount(cluster, (self[a][0] - self[b][0])[seen]), np.bincount(cluster, self[a][1][seen])
        means = [total[i].sum()/times[i].sum() for i in (rng.integers(len(times), size=len(times)) for _ in range(draws))]
        return [total.sum()/times.sum(), *np.percentile(means, [2.5, 97.5])]

def label_choice(train, test): return CategoryBest(np.zeros(len(test.models))).fit(train.categories, train.Y).scores(test.X, test.categories).argmax(1)
def scores(train, test, groups):
    "Method → what it earns on every prompt of the test half"
    Y, T, rows = train.Y.to_numpy(), test.Y.to_numpy(), np.arange(len(test.X))
    pick = ShrunkProbes().fit(train.X.astype(float), train.Y, train.categories.astype(str), groups).predict(test.X.astype(float)).argmax(1)
    share, label = np.bincount(pick, minlength=len(T[0]))/len(T), label_choice(train, test)
    marks = T[:, Y.mean(0).argmax()], T[:, T.mean(0).argmax()], T[rows, label], T.mean(1), T @ share, T.max(1)
    return {'routed pool': T[rows, pick]} | dict(zip(test.models, T.T)) | dict(zip(MARKS, marks))

def answer_tokens(folder, ids, models):
    "Mean tokens of the answers, prompt × model; NaN where there are none"
    if (file := folder/'output_chars.parquet').exists(): d = pd.read_parquet(file).rename(columns={'n_output_chars': 'n'})
    elif (file := folder/'responses.parquet').exists(): d = pd.read_parquet(file).assign(n=lambda d: d.response.str.len())
    else: return pd.DataFrame(np.nan, ids, models)
    return d.groupby(['prompt_id', 'model']).n.mean().unstack().reindex(index=ids, columns=models).clip(lower=4)/4
def guess_tokens(X, t, Z, folds):
    "Expected tokens [n, M] out of fold, and those of new prompts"
    def probes(x, y, z): return ExpectedRewardProbes(alphas=(1000., 300., 100., 30., 10., 3., 1.)).fit(x, y).predict(z)
    def both(y):
        held = np.empty_like(t)
        for k in range(5): held[folds == k] = probes(X[folds != k], y[folds != k], X[folds == k])
        return held, probes(X, y, Z)
    raw, log = [np.maximum(p, 1) for p in both(t)], [np.exp(p.clip(0, 12)) for p in both(np.log(t))]
    log = [p*t.mean(0)/log[0].mean(0) for p in log]                  # the mean of a logarithm is not the logarithm of the mean
    better = ((log[0] - t)**2).mean(0) < ((raw[0] - t)**2).mean(0)
    return [np.where(better, *both) for both in zip(log, raw)]

def mixture(reward, cost, budget):
    "Shares [M] of the best pair of models that costs the budget, or of the best model within it; all to the cheapest where there is none"
    def pair(i, j): return (w := (cost[j] - budget)/(cost[j] - cost[i]))*np.eye(len(cost))[i] + (1 - w)*np.eye(len(cost))[j]
    shares = [*np.eye(len(cost))[cost <= budget*HOLDS], *(pair(i, j) for i, j in permutations(range(len(cost)), 2) if cost[i] <= budget < cost[j])]
    return max(shares or [np.eye(len(cost))[cost.argmin()]], key=lambda s: s @ reward)

def price_path(S, C, points=1500):
    "λ from 0 to where the cheapest is always chosen, dense where choices change"
    i, j = np.triu_indices(S.shape[1], 1)
    with np.errstate(all='ignore'): turn = ((S[:, i] - S[:, j])/(C[:, i] - C[:, j])).ravel()
    turn = turn[np.isfinite(turn) & (turn > 0)]
    return np.r_[0, np.quantile(turn, np.linspace(0, 1, points)), 1.01*turn.max()]
def means(pick, *values): return [v[np.arange(len(pick)), pick].mean() for v in values]

def purchases(half, tokens, fixed, price, budgets, groups, seed, ledger):
    "One split of the second part: (part, method, budget, metric, value); `fixed`, `price`: dollars per 1,000 prompts, of the prompt and per answer token"
    (train, test), sides, models, one, inside = half.halves(), (half.train, ~half.train), half.models, np.eye(tokens.shape[1]), groups(half)
    X, Z, Y, T, c = train.X.astype(float), test.X.astype(float), train.Y.to_numpy(), test.Y.to_numpy(), train.categories.astype(str)
    (D, E), best, at, size = [(fixed + tokens*price)[i] for i in sides], Y.mean(0).argmax(), np.flatnonzero(~half.train), call_cost(half.pool)
    probes = ShrunkProbes().fit(X, train.Y, c, inside); S, U = probes.out_of_fold_, probes.predict(Z)
    folds = make_folds(np.unique(c, return_inverse=True)[1], inside, 5, seed)
    guess = guess_tokens(X, tokens[half.train], Z, folds)
    def always(cost): return [np.tile(cost, (len(d), 1)) for d in (D, E)]
    believed = {'parameters': always(size*D.mean()/size.mean()), 'mean dollars': always(D.mean(0)),
        'prompt known': [fixed[i] + tokens[half.train].mean(0)*price for i in sides], 'predicted': [fixed[i] + t*price for i, t in zip(sides, guess)]}
    for j, m in enumerate(models): yield 'tokens', m, np.nan, 'R²', r_squared(tokens[at, j], guess[1][:, j])
    def bought(method, share, budget=np.nan): return [('dollars', method, budget, k, (v*share).sum(1).mean()) for k, v in (('reward', T), ('dollars', E))]
    alone = {'best single': best, LABEL: label_choice(train, test), ORACLE: (T - 1e-9*E).argmax(1)}              # ties to the cheaper
    for method, share in {**dict(zip(models, one)), **{k: one[v] for k, v in alone.items()}, 'random': one.mean(0)}.items(): yield from bought(method, share)
    for b in budgets: yield from bought('mixture', share := mixture(Y.mean(0), D.mean(0), b), b); ledger.add(('mixture', b), at, T @ share)
    for belief, (C, F) in believed.items():
        yield 'R²', belief, np.nan, 'dollars of a call', r_squared(E.ravel(), F.ravel())
        lams = price_path(S, C)
        reward, thought, spent = np.array([means((S - lam*C).argmax(1), Y, C, D) for lam in lams]).T
        for how, held in (('believed', thought), ('spent', spent)):
            for b in budgets:
                pick = (U - lams[next(iter(np.flatnonzero(held <= b*HOLDS)), -1)]*F).argmax(1)
                yield from bought(f'{belief}, {how}', one[pick], b)
                if how == 'spent': ledger.add((belief, b), at, T[np.arange(len(T)), pick])
        good = np.flatnonzero(reward >= Y[:, best].mean() - 1e-9)        # the largest λ that keeps the best single model's reward, if any
        earned, paid = means((U - lams[good[-1]]*F).argmax(1), T, E) if len(good) else (T[:, best].mean(), E[:, best].mean())
        yield 'quality', belief, np.nan, 'gain', earned - T[:, best].mean()
        yield 'quality', belief, np.nan, 'share of its dollars', paid/E[:, best].mean()

def spread(x): return pd.Series({'mean': x.mean(), '2.5 %': x.quantile(.025), '97.5 %': x.quantile(.975)})
def say(title, frame, digits=4): print(f'\n{title}\n{frame.round(digits).to_string()}')
def table(d, rows): return d.pivot_table('value', rows, 'metric', sort=False, dropna=False).dropna(how='all')
def differences(d): return table(d[d.part == 'difference'], ['budget', 'method'])[['mean', 'low', 'high']]
def print_scores(d):
    r = d[d.part == 'score'].pivot_table('value', 'seed', 'method', sort=False); diff = r.sub(r['routed pool'], axis=0)
    out = r.apply(spread).T.join(differences(d[d.budget.isna()]).droplevel(0).add_prefix('routed − '))
    models = out.index.difference(['routed pool', *MARKS])
    order = ['routed pool', *out['mean'][models].sort_values(ascending=False).index, *MARKS]
    say('reward', out.assign(won=(diff < -1e-9).sum(), tied=(diff.abs() <= 1e-9).sum(), lost=(diff > 1e-9).sum()).loc[order])
def print_dollars(d):
    of = {part: p for part, p in d.groupby('part')}
    say('answer tokens on the test half', table(of['tokens'], 'method'), 3)
    say('R² of the dollars of a call on the test half, all models together', of['R²'].groupby('method', sort=False).value.apply(spread).unstack(), 3)
    p = table(of['dollars'], ['method', 'budget', 'seed']).reset_index()
    say('without a budget: reward, dollars per 1,000 prompts', p[p.budget.isna()].groupby('method', sort=False)[['reward', 'dollars']].mean())
    g = p.assign(over=100*(p.dollars/p.budget - 1))[p.budget.notna()].groupby(['budget', 'method'])
    say('by budget, dollars per 1,000 prompts: reward, dollars spent, overspent %', g[['reward', 'dollars', 'over']].mean().assign(worst=g.over.max()))
    say('difference in reward at one budget, held as spent; bootstrap over prompts', differences(d[d.budget.notna()]))
    say("at the best single model's quality", of['quality'].groupby(['method', 'metric'], sort=False).value.apply(spread).unstack(), 3)

def study(name, splits, price):
    "Both parts for one table, printed, and as a frame"
    if not (found := read(name)): return
    (data, grouped), folder = found, Path(read_experiment(HERE/'tables'/f'{name}.yaml').data.path)
    prompts = pd.read_parquet(folder/'prompts.parquet').set_index('prompt_id').loc[data.prompt_ids]
    ledger, notes = Ledger(prompts['group' if 'group' in prompts else 'prompt'].to_numpy()), []
    def groups(half): return half.groups[half.train] if grouped else None
    def frame(): return pd.DataFrame(notes, columns=COLUMNS[1:]).assign(table=name)[COLUMNS]
    def compare(a, b, what, budget=np.nan): notes.extend((np.nan, 'difference', what, budget, k, v) for k, v in zip(('mean', 'low', 'high'), ledger.less(a, b)))
    print(f'\n# {name}: {len(prompts):,} prompts in {len(np.unique(ledger.clusters)):,} clusters, {len(data.models)} models, splits of seeds 0 … {splits - 1}')
    for seed in range(splits):
        half = data.split(seed)
        for method, earned in scores(*half.halves(), groups(half)).items():
            ledger.add(method, np.flatnonzero(~half.train), earned); notes.append((seed, 'score', method, np.nan, 'reward', earned.mean()))
    for method in list(ledger): compare('routed pool', method, method)
    print_scores(frame())
    prices = yaml.safe_load((HERE/'prices.yaml').read_text())
    prices = {m: sorted(p.values(), key=sum)[0 if price == 'lowest' else (len(p) - 1)//2] for m, p in prices.items()}
    tokens, size = answer_tokens(folder, data.prompt_ids, data.models), call_cost(data.pool)
    keep = np.array([m in prices and tokens[m].notna().all() for m in data.models]) & np.isfinite(size)
    print(f"\nsize, price or lengths not known, so without dollars: {', '.join(np.array(data.models)[~keep]) or 'none'}")
    if keep.sum() < 3: return frame()
    data = replace(data, R=data.R[:, keep], models=list(np.array(data.models)[keep]), pool=data.pool[keep].reset_index(drop=True))
    (p_in, p_out), t = np.array([prices[m] for m in data.models]).T/1e3, tokens[data.models].to_numpy()
    fixed = prompts.prompt.str.len().to_numpy()[:, None]/4*p_in
    dollars, s = fixed + t*p_out, np.tile(size[keep], (len(t), 1))
    say('the pool', pd.DataFrame({'billions': s[0], 'in $/M': 1e3*p_in, 'out $/M': 1e3*p_out, 'tokens': t.mean(0), '95 %': np.percentile(t, 95, 0),
        '$ per 1,000': dollars.mean(0)}, data.models), 3)
    r, between = np.corrcoef(s.ravel(), dollars.ravel())[0, 1], dollars.mean(0).var()/dollars.var()
    print(f'parameters and dollars over {dollars.size:,} calls: rank correlation {spearmanr(s.ravel(), dollars.ravel())[0]:.3f}, Pearson {r:.3f}, '
          f'share of variance {r*r:.3f} (any one cost per model: at most {between:.3f}); over models: rank correlation {spearmanr(s[0], dollars.mean(0))[0]:.3f}')
    budgets = [float(f'{b:.2g}') for b in np.geomspace(1.1*dollars.mean(0).min(), dollars.mean(0).max(), 7)]
    for seed in range(splits): notes += [(seed, *n) for n in purchases(data.split(seed), t, fixed, p_out, budgets, groups, seed, ledger)]
    for b in budgets:
        for other in [*list(BELIEFS)[:-1], 'mixture']: compare(('predicted', b), (other, b), f'predicted − {other}', b)
    print_dollars(frame()); return frame()

def short(model): return model.replace('Meta-', '').replace('-Instruct', '').replace('-instruct', '')
def draw_scores(df, file):
    "Each model's own score beside the routed pool's, by table, with 95 % of the splits"
    rows = -(-len(names := list(df.table.unique()))//2); fig, axes = plt.subplots(rows, 2, figsize=(9, 3.3*rows), squeeze=False, layout='constrained')
    for ax in axes.flat[len(names):]: ax.set_visible(False)
    for ax, name in zip(axes.flat, names):
        s = df[(df.table == name) & (df.part == 'score')].groupby('method').value.apply(spread).unstack()
        models = s['mean'].drop(['routed pool', *MARKS]).sort_values(ascending=False).index
        rows = [ORACLE, LABEL, 'routed pool', 'routed, shuffled', *models, 'random']
        for m in rows:
            colour, marker = ('#0072B2', 'o') if m == 'routed pool' else ('#D55E00', 'D') if m in MARKS else ('.25', 'o')
            ax.hlines(short(m), s['2.5 %'][m], s['97.5 %'][m], colors=colour, lw=2); ax.scatter(s['mean'][m], short(m), c=colour, marker=marker, s=22, zorder=3)
        ax.axvline(s['mean']['routed pool'], color='#0072B2', lw=1, ls=':'); ax.invert_yaxis(); ax.grid(axis='x', color='.9'); ax.set_axisbelow(True)
        ax.tick_params(labelsize=8); ax.set_title(name, fontsize=9)
        ax.set_xlabel({'alpaca_eval': 'win rate over GPT-4 Turbo', 'llmrouter': 'task metric'}.get(name, 'accuracy') + ' on the test half', fontsize=8)
    fig.get_layout_engine().set(w_pad=.1); fig.savefig(file, dpi=150)

def draw_dollars(df, file):
    "Reward against dollars truly spent, and what predicted dollars gain at one budget"
    names = list(df[df.part == 'dollars'].table.unique())
    fig, axes = plt.subplots(2, len(names), figsize=(3.7*len(names), 6.2), squeeze=False, sharex='col', height_ratios=(2, 1), layout='constrained')
    for (top, low), name in zip(axes.T, names):
        d = df[df.table == name]; p = table(d[d.part == 'dollars'], ['method', 'budget'])
        for belief, (colour, marker) in BELIEFS.items():
            q = p.loc[f'{belief}, spent']; top.plot(q.dollars, q.reward, marker=marker, ms=4, lw=1.3, color=colour, label=belief)
        q = p.loc['mixture']; top.plot(q.dollars, q.reward, color='.5', ls='--', lw=1.2, label='mixture of two models', zorder=1)
        alone = p.loc[list(d[d.part == 'tokens'].method.unique())].droplevel('budget').sort_values('dollars')
        middle = (alone.dollars.min()*alone.dollars.max())**.5
        top.plot(alone.dollars, alone.reward, 'o', color='black', ms=5, mfc='white', zorder=4, label='one model')
        for i, (m, x, y) in enumerate(alone[['dollars', 'reward']].itertuples()):
            up = y == alone.reward.max() or (i % 2 and x < middle)
            top.annotate(short(m), (x, y), xytext=(-5 if x > middle else 5, 5 if up else -9), textcoords='offset points', fontsize=7,
                         ha='right' if x > middle else 'left', bbox=dict(fc='white', ec='none', alpha=.7, pad=.4))
        g = differences(d[d.budget.notna()])
        for k, other in enumerate(list(BELIEFS)[:-1]):
            q, (colour, marker) = 100*g.xs(f'predicted − {other}', level=1), BELIEFS[other]
            low.errorbar(q.index*1.03**(k - 1), q['mean'], [q['mean'] - q.low, q.high - q['mean']], fmt=marker, ms=4, lw=1.2, color=colour)
        low.axhline(0, color='black', ls='--', lw=1); low.set_xscale('log')
        low.set_xticks(q.index[::2], [f'{b:g}' for b in q.index[::2]]); low.minorticks_off()
        top.set_title(name, fontsize=9); low.set_xlabel('dollars per 1,000 prompts', fontsize=9); top.margins(y=.08)
        for ax in (top, low): ax.grid(color='.92'); ax.set_axisbelow(True); ax.tick_params(labelsize=8)
    axes[0, 0].set_ylabel('accuracy on the test half', fontsize=9); axes[1, 0].set_ylabel('predicted less the others,\npercentage points', fontsize=9)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc='outside upper center', ncols=2*len(names), fontsize=8, frameon=False); fig.savefig(file, dpi=150)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tables', nargs='*'); parser.add_argument('--splits', type=int, default=20)
    parser.add_argument('--price', choices=('middle', 'lowest'), default='middle'); parser.add_argument('--out', type=Path, default=HERE/'results')
    args = parser.parse_args(); args.out.mkdir(parents=True, exist_ok=True); plt.switch_backend('agg')
    parts = [study(name, args.splits, args.price) for name in args.tables or [p.stem for p in sorted((HERE/'tables').glob('*.yaml'))]]
    if not (parts := [p for p in parts if p is not None]): return
    (df := pd.concat(parts)).to_csv(args.out/'downstream.csv', index=False, float_format='%.6g')
    draw_scores(df, args.out/'downstream.png')
    if (df.part == 'dollars').any(): draw_dollars(df, args.out/'dollars.png')
if __name__ == '__main__': main()
