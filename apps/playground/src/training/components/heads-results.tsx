import { Action } from '../../components/action.tsx';
import { Fact } from '../../components/fact.tsx';
import { duration } from '../../format.ts';
import { GUESSED_LOSS, MEAN_STEPS } from '../heads.ts';
import { runningMeans } from '../summary.ts';
import type { Training } from '../training.ts';
import { AccuracyChart } from './accuracy-chart.tsx';
import { AccuracyTable } from './accuracy-table.tsx';
import { LossChart } from './loss-chart.tsx';

/** A training of the induction heads as it goes on: its controls, its numbers, its charts. */
export function HeadsResults({ training }: { readonly training: Training }) {
  const { heads, busy } = training;
  const { phase, options, losses, accuracies, tokensPerSecond, secondsLeft } = heads;
  const steps = options?.steps ?? 0;
  const loss = runningMeans(losses, MEAN_STEPS).at(-1);
  const pausable = phase === 'running';
  return (
    <section class="panel" id="heads-results" aria-labelledby="heads-results-heading" aria-busy={heads.active}>
      <div class="heading">
        <h2 id="heads-results-heading">As it learns</h2>
        <div class="actions">
          {phase === 'paused' ? (
            <Action blocked={busy} onClick={() => training.continueHeads()}>
              Continue
            </Action>
          ) : (
            <Action blocked={!pausable} onClick={() => heads.pause()}>
              {phase === 'pausing' ? 'Pausing …' : 'Pause'}
            </Action>
          )}
          <Action blocked={phase === 'none'} onClick={() => training.resetHeads()}>
            Reset
          </Action>
        </div>
      </div>
      <dl class="facts live" aria-label="Progress of the training">
        <Fact name="Step" value={options === undefined ? '–' : `${losses.length} of ${steps}`} />
        <Fact name="Loss" value={loss?.toFixed(3) ?? '–'} />
        <Fact name="Tokens a second" value={perSecond(tokensPerSecond)} />
        <Fact name="Time left" value={timeLeft(phase, secondsLeft)} />
      </dl>
      {options !== undefined && (
        <progress aria-label="Steps done" value={losses.length} max={steps}>
          {losses.length} of {steps}
        </progress>
      )}
      <div class="charts">
        <LossChart
          losses={losses}
          steps={steps}
          unit="nats an answer"
          mean={MEAN_STEPS}
          reference={{ value: GUESSED_LOSS, label: 'guessing' }}
        />
        <AccuracyChart last={accuracies.at(-1)} trained={options?.lengths ?? []} />
      </div>
      {accuracies.length > 0 && (
        <details>
          <summary>The numbers, as a table</summary>
          <AccuracyTable accuracies={accuracies} losses={losses} trained={options!.lengths} />
        </details>
      )}
      {heads.info !== undefined && (
        <p class="hint">
          {heads.info.parameters.toLocaleString('en')} parameters, on {heads.info.backend}.
        </p>
      )}
    </section>
  );
}

function perSecond(tokens: number | undefined): string {
  return tokens === undefined ? '–' : Math.round(tokens).toLocaleString('en');
}

function timeLeft(phase: string, seconds: number | undefined): string {
  if (phase === 'done') return 'none';
  return seconds === undefined || phase === 'failed' ? '–' : duration(seconds);
}
