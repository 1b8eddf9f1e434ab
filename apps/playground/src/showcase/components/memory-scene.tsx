import { cacheBytesPerToken } from '@mamba/bench/cache';
import { Action } from '../../components/action.tsx';
import { MemoryCurve, MemoryNote } from '../../curves/memory-curve.tsx';
import { bytes, count } from '../../format.ts';
import { paceWords } from '../../pace.ts';
import { LONG_TOKENS } from '../memory.ts';
import type { Showcase } from '../showcase.ts';
import { Failure } from './failure.tsx';
import { Scene } from './scene.tsx';

/** The state beside the cache of a Transformer, both over the tokens that come. */
export function MemoryScene({ showcase: { memory, story, model } }: { readonly showcase: Showcase }) {
  const { branch, busy, pace } = memory;
  const config = model.loaded?.lm.info.config;
  const state = branch?.session.bytes ?? 0;
  const shown = branch !== undefined && config !== undefined && state > 0;
  return (
    <Scene
      id="memory"
      title="All that it remembers has one size"
      tale={
        <>
          <p>
            A model reads and writes <em>tokens</em>: words, or pieces of them. A Transformer, which most language
            models are, keeps something of every token that it has met. This <em>cache</em> grows without end.
          </p>
          <p>
            Mamba keeps one <em>state</em> and changes it with each token. Let it read a long text, and compare.
          </p>
        </>
      }
    >
      {shown && <Bars length={branch.length} state={state} cache={cacheBytesPerToken(config) * branch.length} />}
      <Failure of={memory} />
      <div class="actions">
        {busy ? (
          <Action blocked={false} onClick={() => memory.stop()}>
            Stop
          </Action>
        ) : (
          <Action blocked={story.busy} onClick={() => memory.read()}>
            Read {LONG_TOKENS.toLocaleString('en')} tokens more
          </Action>
        )}
        {busy && pace !== undefined && (
          <div class="running">
            <progress aria-label="Tokens read" value={pace.tokens} max={pace.total} />
            <span class="hint">{paceWords(pace, true)}</span>
          </div>
        )}
      </div>
      {shown ? (
        <>
          <MemoryCurve {...{ config, state }} length={branch.length} />
          <MemoryNote {...{ config, state }} />
        </>
      ) : (
        <p class="hint">The bars begin with the first text.</p>
      )}
    </Scene>
  );
}

interface BarsProps {
  readonly length: number;
  readonly state: number;
  readonly cache: number;
}

/** Both sizes as bars of one scale. */
function Bars({ length, state, cache }: BarsProps) {
  const most = Math.max(state, cache);
  const bars = [
    { name: 'Mamba’s state', size: state, origin: 'measured', kind: 'own' },
    { name: 'A Transformer’s cache', size: cache, origin: 'computed', kind: 'other' },
  ];
  return (
    <div class="sizes">
      <p class="so-far">
        After {count(length, 'token')}
        {cache > state && ` the cache is ${Number((cache / state).toPrecision(2)).toLocaleString('en')} times as large`}
      </p>
      <dl>
        {bars.map(({ name, size, origin, kind }) => (
          <div key={name} class={kind}>
            <dt>{name}</dt>
            <dd>
              <i style={{ width: `${(100 * size) / most}%` }} />
              <span>
                {bytes(size)} <small>{origin}</small>
              </span>
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
