import { type Branch, type MarkedPlace, textOf } from '../branch.ts';
import { count } from '../format.ts';
import type { Playground } from '../playground.ts';
import { Action } from './action.tsx';

/** Chooses the branch that is shown, and offers the actions that a state allows: fork, mark and rewind, save. */
export function Branches({ playground }: { readonly playground: Playground }) {
  const { branches, branch, busy } = playground;
  const { places } = branch!;
  const blocked = busy !== undefined;
  const open = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    const [file] = input.files ?? [];
    if (file !== undefined) void playground.open(file);
    input.value = '';
  };
  return (
    <div class="branches">
      <fieldset class="segmented" disabled={blocked}>
        <legend>Branch</legend>
        {tree(branches).map(({ branch: candidate, depth }) => (
          <label key={candidate.id}>
            <input
              type="radio"
              name="branch"
              checked={candidate === branch}
              onChange={() => playground.show(candidate)}
            />
            <span class="face">
              {depth > 0 && (
                <span class="from" aria-hidden="true" title={`from ${candidate.origin!.parent.name.toLowerCase()}`}>
                  {'↳'.repeat(depth)}
                </span>
              )}
              {candidate.name}
              <small>{candidate.length.toLocaleString('en')}</small>
              <span class="unseen"> tokens{depth > 0 && `, from ${candidate.origin!.parent.name.toLowerCase()}`}</span>
            </span>
          </label>
        ))}
      </fieldset>
      {/* biome-ignore lint/a11y/useSemanticElements: a toolbar has no element */}
      <div class="actions tools" role="group" aria-label="This branch">
        <Action blocked={blocked} onClick={() => playground.mark()}>
          Mark
        </Action>
        <Action blocked={blocked} onClick={() => playground.fork()}>
          Fork
        </Action>
        <Action blocked={blocked} onClick={() => playground.save()}>
          Save
        </Action>
        <label class={`button ${blocked ? 'blocked' : ''}`}>
          Open …
          <input type="file" class="unseen" accept=".mamba-session" disabled={blocked} onChange={open} />
        </label>
        <Action blocked={blocked} onClick={() => playground.newBranch()}>
          New
        </Action>
        <Action blocked={blocked || branches.length === 1} onClick={() => playground.closeBranch()}>
          Close
        </Action>
      </div>
      {places.length > 0 && (
        <ul class="marks" aria-label="Marks">
          {places.map((place) => (
            <li key={place.id}>
              <Action blocked={blocked} onClick={() => playground.rewind(place)}>
                Rewind to {count(place.length, 'token')}
                <small>{ending(place)}</small>
              </Action>
              <Action
                quiet
                blocked={blocked}
                label={`Remove the mark at ${count(place.length, 'token')}`}
                onClick={() => playground.releaseMark(place)}
              >
                ×
              </Action>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** Branches behind the ones that they come from, with how many of these are open. */
function tree(branches: readonly Branch[]): readonly { readonly branch: Branch; readonly depth: number }[] {
  const below = (parent: Branch | undefined, depth: number): { branch: Branch; depth: number }[] =>
    branches
      .filter((branch) => openParent(branch, branches) === parent)
      .flatMap((branch) => [{ branch, depth }, ...below(branch, depth + 1)]);
  return below(undefined, 0);
}

/** The nearest branch that this one comes from and that is open. */
function openParent({ origin }: Branch, branches: readonly Branch[]): Branch | undefined {
  if (origin === undefined || branches.includes(origin.parent)) return origin?.parent;
  return openParent(origin.parent, branches);
}

/** The last words before a mark. */
function ending(place: MarkedPlace): string {
  const text = textOf(place).trimEnd();
  return text === '' ? 'the beginning' : `… ${text.slice(-24).trimStart()}`;
}
