import { useMemo } from 'preact/hooks';
import { type Branch, textOf } from '../branch.ts';
import { count } from '../format.ts';

/** Characters of an ending that are shown, at most: its last ones. */
const SHOWN = 600;

/** The texts of branches that come from one another, side by side, each from where it goes its own way. */
export function Endings({ branches }: { readonly branches: readonly Branch[] }) {
  const texts = branches.map(({ transcript }) => transcript);
  const shared = useMemo(() => commonPrefix(texts.map(textOf)), texts);
  const endings = branches
    .map((branch) => ({ branch, ending: textOf(branch.transcript).slice(shared) }))
    .filter(({ ending }) => ending !== '');
  if (endings.length < 2) return null;
  return (
    <details class="endings" open>
      <summary>
        {count(endings.length, 'ending')} from one state of{' '}
        {count(Math.min(...branches.flatMap(({ origin }) => origin?.length ?? [])), 'token')}
      </summary>
      <div class="columns">
        {endings.map(({ branch: { id, name }, ending }) => (
          <section key={id} aria-label={`Ending of ${name.toLowerCase()}`}>
            <h3>{name}</h3>
            <p>
              {ending.length > SHOWN ? '… ' : ''}
              {ending.slice(-SHOWN)}
            </p>
          </section>
        ))}
      </div>
    </details>
  );
}

/** The branches that have their first branch in common with this one. */
export function familyOf(branch: Branch, branches: readonly Branch[]): readonly Branch[] {
  return branches.filter((other) => rootOf(other) === rootOf(branch));
}

function rootOf(branch: Branch): Branch {
  return branch.origin === undefined ? branch : rootOf(branch.origin.parent);
}

function commonPrefix([first = '', ...others]: readonly string[]): number {
  let length = first.length;
  for (const other of others) {
    let at = 0;
    while (at < length && first[at] === other[at]) at++;
    length = at;
  }
  return length;
}
