import type { Playground } from '../playground.ts';
import { Action } from './action.tsx';
import { proposed } from './backend-choice.tsx';

/** Explains the page until a model is loaded. */
export function Welcome({ playground }: { readonly playground: Playground }) {
  const backend = proposed(playground.backends);
  const blocked = backend === undefined || playground.busy !== undefined;
  return (
    <section class="panel welcome" aria-labelledby="welcome-heading">
      <h2 id="welcome-heading">What there is to try</h2>
      <dl>
        <div>
          <dt>Generate</dt>
          <dd>
            Text streams in from a worker: the page never waits. Its cost for a token is the same after ten and after
            ten thousand.
          </dd>
        </div>
        <div>
          <dt>Fork, mark and rewind</dt>
          <dd>
            All that the model remembers is one state of constant size. A copy of it is a branch, a way back, or a file.
          </dd>
        </div>
        <div>
          <dt>Watch the selection</dt>
          <dd>
            For each token, each layer decides how much to let in and how much to forget. See it as shaded text and as a
            heat map.
          </dd>
        </div>
      </dl>
      <p class="hint">The shipped model is small and knows the King James Bible alone. Load it to begin.</p>
      <div class="actions">
        <Action blocked={blocked} onClick={() => playground.showSelection(backend!)}>
          Load it and show the selection
        </Action>
      </div>
    </section>
  );
}
