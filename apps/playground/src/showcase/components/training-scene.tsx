import { HeadsResults } from '../../training/components/heads-results.tsx';
import { PROPOSED, testLengths } from '../../training/heads.ts';
import type { Showcase } from '../showcase.ts';
import { Failure } from './failure.tsx';
import { Scene } from './scene.tsx';

/** A training of the induction heads, live. */
export function TrainingScene({ showcase: { training } }: { readonly showcase: Showcase }) {
  const { heads, busy, status } = training;
  const begun = heads.active || heads.phase === 'paused';
  const start = (): void => {
    if (!busy && !begun) void training.startHeads({ ...PROPOSED, testLengths: testLengths(PROPOSED.lengths) });
  };
  return (
    <Scene
      id="training"
      title="Watch one learn, from nothing"
      tale={
        <>
          <p>
            A model of random weights gets a puzzle. In a row of random tokens a special one comes twice. The answer is
            the token that followed it the first time: <em>remember this, and pass over the rest</em>.
          </p>
          <p>
            It is shown rows of 8, 16 and 32 tokens. Then it is asked about rows of 256, which it never saw. The whole
            training runs in this page: forward, backward and the optimiser.
          </p>
        </>
      }
    >
      <Failure of={training} />
      <div class="actions">
        <button type="button" class="primary" aria-disabled={busy || begun} onClick={start}>
          {heads.losses.length > 0 && !begun ? 'Start again' : 'Start training'}
        </button>
        <span class="hint" role="status">
          {status || `${PROPOSED.steps} steps: seconds on a laptop, more on a phone.`}
        </span>
      </div>
      {heads.phase !== 'none' && <HeadsResults training={training} />}
    </Scene>
  );
}
