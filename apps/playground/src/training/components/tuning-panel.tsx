import { useState } from 'preact/hooks';
import EXAMPLE from '../example.txt?raw';
import type { Training } from '../training.ts';
import { NumberField } from './number-field.tsx';
import { showResults } from './show-results.ts';

/** The sample that is written before and after. */
const SAMPLE = { maxTokens: 48, temperature: 0.5, seed: 1 };

/** The text and the settings of a fine-tuning, and its start. */
export function TuningPanel({ training }: { readonly training: Training }) {
  const { tuning, backend, busy } = training;
  const [text, setText] = useState(EXAMPLE);
  const [prompt, setPrompt] = useState('Sunday. Wind from the');
  const [steps, setSteps] = useState('30');
  const [learningRate, setLearningRate] = useState('0.005');
  const active = tuning.active;

  const submit = (event: Event): void => {
    event.preventDefault();
    if (active) training.resetTuning();
    if (busy || backend === undefined) return;
    const sample = { ...SAMPLE, prompt };
    void training.fineTune({ text, sample, steps: Number(steps), learningRate: Number(learningRate) });
    showResults('tuning-results');
  };

  return (
    <section class="panel" aria-labelledby="tuning-heading">
      <h2 id="tuning-heading">Fine-tuning</h2>
      <p class="hint">
        KJV Mamba knows the King James Bible alone. Adapters of rank 8 at its matrices (
        <a href="https://arxiv.org/abs/2106.09685">the paper of LoRA</a>) teach it another text in less than a minute.
      </p>
      <form onSubmit={submit}>
        <div class="field">
          <label for="tuning-text">Text to learn</label>
          <textarea
            id="tuning-text"
            aria-describedby="tuning-text-hint"
            rows={7}
            required
            disabled={active}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <small id="tuning-text-hint">
            The last fifth is held out: the loss is measured on it, and it is not trained.
          </small>
        </div>
        <label class="field">
          <span>Beginning of the samples</span>
          <input
            type="text"
            disabled={active}
            value={prompt}
            onInput={(event) => setPrompt(event.currentTarget.value)}
          />
        </label>
        <fieldset class="numbers" disabled={active}>
          <legend class="unseen">Settings of the fine-tuning</legend>
          <NumberField
            label="Steps"
            hint="of 4 × 64 tokens"
            min={1}
            max={500}
            step={1}
            value={steps}
            onInput={setSteps}
          />
          <NumberField
            label="Learning rate"
            hint="the largest"
            min={0}
            max={10}
            step="any"
            value={learningRate}
            onInput={setLearningRate}
          />
        </fieldset>
        <div class="actions">
          <button type="submit" class="primary" aria-disabled={backend === undefined || (busy && !active)}>
            {active ? 'Cancel' : 'Fine-tune'}
          </button>
        </div>
      </form>
    </section>
  );
}
