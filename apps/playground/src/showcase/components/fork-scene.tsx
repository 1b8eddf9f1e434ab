import { cacheBytesPerToken } from '@mamba/bench/cache';
import { Endings } from '../../components/endings.tsx';
import { bytes, count } from '../../format.ts';
import type { Showcase } from '../showcase.ts';
import { Failure } from './failure.tsx';
import { FigureFacts } from './figure-facts.tsx';
import { Scene } from './scene.tsx';

/** One beginning and two endings, with what the fork took. */
export function ForkScene({ showcase: { forks, model } }: { readonly showcase: Showcase }) {
  const { beginning, branches, busy, cost } = forks;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (busy) forks.stop();
    else if (beginning.trim() !== '') void forks.write();
  };
  return (
    <Scene
      id="fork"
      title="Copy the state, and a story has two endings"
      tale={
        <>
          <p>
            The state is all that the model knows of the text. Copy it, and you have the whole past twice: to try two
            endings, to go back, to save it as a file, or to go on with it on another machine.
          </p>
          <p>The file has the same size after ten tokens and after ten million, and no word has to be read again.</p>
        </>
      }
    >
      <form onSubmit={submit}>
        <label class="field">
          One beginning
          <textarea rows={4} value={beginning} onInput={(event) => forks.setBeginning(event.currentTarget.value)} />
        </label>
        <div class="actions">
          <button type="submit" class="primary" aria-disabled={!busy && beginning.trim() === ''}>
            {busy ? 'Stop' : 'Write two endings'}
          </button>
        </div>
      </form>
      <Failure of={forks} />
      <div aria-busy={busy}>
        <Endings branches={branches} />
      </div>
      {cost !== undefined && (
        <FigureFacts
          label="What the fork took"
          figures={[
            { name: 'The state, as a file', value: bytes(cost.bytes), origin: 'measured' },
            { name: 'To save it and open it twice', value: milliseconds(cost.milliseconds), origin: 'measured' },
            {
              name: `A Transformer’s cache of ${count(cost.tokens, 'token')}`,
              value: bytes(cost.tokens * cacheBytesPerToken(model.loaded!.lm.info.config)),
              origin: 'computed',
            },
          ]}
        />
      )}
    </Scene>
  );
}

function milliseconds(value: number): string {
  return `${Number(value.toPrecision(2))} ms`;
}
