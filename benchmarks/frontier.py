"""The exact frontier for 100,000 prompts and 10 models, beside a grid of 200 λ.

    python benchmarks/frontier.py [--prompts N] [--models M] [--grid G] [--repeats R]

The scores are synthetic (normal numbers): only the time is measured here, and it depends on how often choices flip, not on
what the scores mean. Prints the best of R runs, in seconds, and checks that grid and exact frontier agree wherever both speak.
"""
import argparse, platform, time
import numpy as np
from erp_nbdev.routing import cost_adjusted_choice, frontier


def best_of(f, repeats):
    "Shortest time of `repeats` calls in seconds, and the last result"
    times = []
    for _ in range(repeats):
        start = time.perf_counter(); out = f(); times.append(time.perf_counter() - start)
    return min(times), out


def grid_frontier(scores, cost, lams):
    "Mean cost and mean score for every λ of a grid"
    choices = (cost_adjusted_choice(scores, cost, lam) for lam in lams)
    return np.array([(cost[c].mean(), scores[np.arange(len(scores)), c].mean()) for c in choices])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in [('prompts', 100_000), ('models', 10), ('grid', 200), ('repeats', 3)]: parser.add_argument(f'--{name}', type=int, default=default)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    cost = np.geomspace(1, 100, args.models)
    scores = rng.normal(size=(args.prompts, args.models)) + .3*np.log(cost)      # dearer is somewhat better, as in life
    exact_s, f = best_of(lambda: frontier(scores, cost), args.repeats)
    lams = np.linspace(0, np.quantile(f.lam, .999), args.grid)
    grid_s, g = best_of(lambda: grid_frontier(scores, cost, lams), 1)
    rows = f.at(lams)
    assert np.allclose(f.cost[rows], g[:, 0]) and np.allclose(f.reward[rows], g[:, 1]), 'grid and exact frontier differ'
    print(f'{args.prompts:,} prompts × {args.models} models (synthetic scores), {platform.machine()}, numpy {np.__version__}')
    print(f'exact frontier: {exact_s:.2f} s for all {len(f.lam):,} breakpoints')
    print(f'grid of {args.grid} λ: {grid_s:.2f} s; the exact frontier takes {exact_s/grid_s:.2f} of that (grid/exact = {grid_s/exact_s:.1f}×)')


if __name__ == '__main__': main()
