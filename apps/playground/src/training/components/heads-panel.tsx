import { useState } from 'preact/hooks';
import { LENGTHS, PROPOSED, testLengths } from '../heads.ts';
import type { Training } from '../training.ts';
import { NumberField } from './number-field.tsx';
import { showResults } from './show-results.ts';

/** The settings of a training of the induction heads, and its start. */
export function HeadsPanel({ training }: { readonly training: Training }) {
  const { heads, backend, busy } = training;
  const [lengths, setLengths] = useState<readonly number[]>(PROPOSED.lengths);
  const [steps, setSteps] = useState(String(PROPOSED.steps));
  const [batch, setBatch] = useState(String(PROPOSED.batch));
  const [learningRate, setLearningRate] = useState(String(PROPOSED.learningRate));
  const [seed, setSeed] = useState(String(PROPOSED.seed));
  const begun = heads.active || heads.phase === 'paused';
  const blocked = busy || begun || backend === undefined || lengths.length === 0;

  const submit = (event: Event): void => {
    event.preventDefault();
    if (blocked) return;
    const numbers = { steps: Number(steps), batch: Number(batch), learningRate: Number(learningRate) };
    void training.startHeads({ ...numbers, lengths, testLengths: testLengths(lengths), seed: Number(seed) });
    showResults('heads-results');
  };
  const toggle = (length: number, on: boolean): void =>
    setLengths(LENGTHS.filter((other) => (other === length ? on : lengths.includes(other))));

  return (
    <section class="panel" aria-labelledby="heads-heading">
      <h2 id="heads-heading">Induction heads</h2>
      <p class="hint">
        A sequence is random tokens, among them a special one, which comes again at the end. The answer is the token
        that followed it the first time. A model of 2 layers and width 64 learns to remember that one and to pass over
        the others (<a href="https://arxiv.org/abs/2312.00752">the paper of Mamba</a>, section 4.1.2).
      </p>
      <form onSubmit={submit}>
        <fieldset class="segmented lengths" disabled={begun}>
          <legend>Lengths to train</legend>
          {LENGTHS.map((length) => (
            <label key={length}>
              <input
                type="checkbox"
                checked={lengths.includes(length)}
                onChange={(event) => toggle(length, event.currentTarget.checked)}
              />
              <span class="face">{length}</span>
            </label>
          ))}
        </fieldset>
        <p class="hint">
          {lengths.length === 0
            ? 'Choose at least one length.'
            : `Longer ones take longer. It is tested at ${testLengths(lengths).slice(-2).join(' and ')} as well.`}
        </p>
        <fieldset class="numbers" disabled={begun}>
          <legend class="unseen">Settings of the training</legend>
          <NumberField label="Steps" hint="updates" min={1} max={5000} step={1} value={steps} onInput={setSteps} />
          <NumberField label="Batch" hint="sequences" min={1} max={256} step={1} value={batch} onInput={setBatch} />
          <NumberField
            label="Learning rate"
            hint="the largest"
            min={0}
            max={10}
            step="any"
            value={learningRate}
            onInput={setLearningRate}
          />
          <NumberField
            label="Seed"
            hint="to repeat it"
            min={0}
            max={2 ** 31 - 1}
            step={1}
            value={seed}
            onInput={setSeed}
          />
        </fieldset>
        <div class="actions">
          <button type="submit" class="primary" aria-disabled={blocked}>
            {heads.losses.length > 0 && !begun ? 'Start again' : 'Start training'}
          </button>
        </div>
      </form>
    </section>
  );
}
