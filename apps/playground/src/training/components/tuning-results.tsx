import { useState } from 'preact/hooks';
import { Action } from '../../components/action.tsx';
import { Fact } from '../../components/fact.tsx';
import { duration } from '../../format.ts';
import { SHIPPED } from '../../source.ts';
import type { Training } from '../training.ts';
import { LossChart } from './loss-chart.tsx';

const WRITTEN = { maxTokens: 80, temperature: 0.5 };

/** A fine-tuning as it goes on, what the model wrote before and after, and what the tuned model can do. */
export function TuningResults({ training }: { readonly training: Training }) {
  const { tuning, busy } = training;
  const { phase, options, before, after, losses, secondsLeft } = tuning;
  const [prompt, setPrompt] = useState('Monday. Wind');
  const loss = (value: number | undefined): string => value?.toFixed(3) ?? '–';
  const write = (event: Event): void => {
    event.preventDefault();
    if (!busy) void training.write({ ...WRITTEN, prompt, seed: Math.floor(Math.random() * 2 ** 31) });
  };
  return (
    <section class="panel" id="tuning-results" aria-labelledby="tuning-results-heading" aria-busy={tuning.active}>
      <h2 id="tuning-results-heading">Before and after</h2>
      <dl class="facts live" aria-label="Progress of the fine-tuning">
        <Fact name="Step" value={options === undefined ? '–' : `${losses.length} of ${options.steps}`} />
        <Fact name="Held-out loss before" value={loss(before?.measured.loss)} />
        <Fact name="Held-out loss after" value={loss(after?.loss)} />
        <Fact
          name="Time left"
          value={
            after !== undefined ? 'none' : phase === 'tuning' && secondsLeft !== undefined ? duration(secondsLeft) : '–'
          }
        />
      </dl>
      {options !== undefined && (
        <progress aria-label="Steps of the fine-tuning done" value={losses.length} max={options.steps}>
          {losses.length} of {options.steps}
        </progress>
      )}
      <LossChart losses={losses} steps={options?.steps ?? 0} unit="nats a token, of the trained part" mean={1} />
      {before !== undefined && options !== undefined && (
        <div class="charts">
          <Sample name="Written before" prompt={options.sample.prompt} text={before.measured.sample} />
          {after !== undefined && <Sample name="Written after" prompt={options.sample.prompt} text={after.sample} />}
        </div>
      )}
      {after !== undefined && (
        <form onSubmit={write}>
          <label class="field">
            <span>Beginning of another text</span>
            <input type="text" value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
          </label>
          <div class="actions">
            <button type="submit" class="primary" aria-disabled={busy}>
              Write
            </button>
            <Action blocked={busy} onClick={() => training.save()}>
              Save the model
            </Action>
          </div>
          {tuning.written !== undefined && (
            <Sample name="Written by the tuned model" prompt={tuning.written.prompt} text={tuning.written.text} />
          )}
          <p class="hint">
            The saved model has its adapters merged. <a href="./">Try models</a> opens it from files, together with{' '}
            <a href={`${SHIPPED}config.json`} download>
              config.json
            </a>{' '}
            and{' '}
            <a href={`${SHIPPED}tokenizer.json`} download>
              tokenizer.json
            </a>
            .
          </p>
        </form>
      )}
      {before !== undefined && (
        <p class="hint">
          {before.trained.toLocaleString('en')} numbers of adapters are trained, beside{' '}
          {before.parameters.toLocaleString('en')} that stay.
        </p>
      )}
    </section>
  );
}

interface SampleProps {
  readonly name: string;
  readonly prompt: string;
  readonly text: string;
}

function Sample({ name, prompt, text }: SampleProps) {
  return (
    <figure class="sample">
      <figcaption>{name}</figcaption>
      <p>
        <b>{prompt}</b>
        <span class="written">{text}</span>
      </p>
    </figure>
  );
}
