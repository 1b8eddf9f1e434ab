import { parameterCount } from '@mamba/core';
import { useEffect, useState } from 'preact/hooks';
import { bytes, count } from '../format.ts';
import type { Progress, Weights } from '../model.ts';
import type { Playground } from '../playground.ts';
import type { Source } from '../source.ts';
import type { BackendName } from '../worker/protocol.ts';
import { BackendChoice, LABELS, proposed } from './backend-choice.tsx';
import { ErrorNote } from './error-note.tsx';
import { Fact } from './fact.tsx';
import { useMedia } from './use-media.ts';

const SOURCES = [
  {
    kind: 'shipped',
    label: 'Shipped',
    hint: 'KJV Mamba: 1.7 million weights, trained on the King James Bible; 3.5 MB.',
  },
  {
    kind: 'hub',
    label: 'Hub',
    hint: 'A repository of the Hugging Face hub. It is downloaded once, and kept in this browser.',
  },
  {
    kind: 'url',
    label: 'Address',
    hint: 'A folder with config.json and model.safetensors, or a GGUF file. Its host must allow other pages to read it.',
  },
  { kind: 'files', label: 'Files', hint: 'They stay on this device: nothing is sent anywhere.' },
] as const;

/** The types that matrices may be stored in, where the backend has the type. */
const WEIGHTS: readonly { readonly value: Weights; readonly label: string }[] = [
  { value: 'float32', label: 'float32: exact, 4 bytes each' },
  { value: 'stored', label: 'as in the file, where the backend can' },
  { value: 'float16', label: 'float16: 2 bytes each' },
  { value: 'bfloat16', label: 'bfloat16: 2 bytes each' },
  { value: 'q8', label: 'q8: blocks of 8 bits, about 1 byte each' },
  { value: 'q4', label: 'q4: blocks of 4 bits, coarse' },
];

/** An attribute that all browsers know and preact's types do not. */
const FOLDER = { webkitdirectory: true };

interface ModelPanelProps {
  readonly playground: Playground;
  /** Makes a link of what is set now. */
  readonly onLink: () => void;
}

/** Chooses the source of the model, and the backend that it runs on. */
export function ModelPanel({ playground, onLink }: ModelPanelProps) {
  const { backends, model, busy, progress, error, linked } = playground;
  const [kind, setKind] = useState<Source['kind']>(linked.source?.kind ?? 'shipped');
  const [url, setUrl] = useState(linked.source?.kind === 'url' ? linked.source.url : '');
  const [id, setId] = useState(linked.source?.kind === 'hub' ? linked.source.id : '');
  const [weights, setWeights] = useState<Weights>(linked.weights ?? 'float32');
  const [files, setFiles] = useState<readonly File[]>([]);
  const [chosen, setChosen] = useState<BackendName>();
  const backend = chosen ?? proposed(backends);
  const loading = busy === 'load';
  // On a phone the text comes first once there is a model that runs.
  const narrow = useMedia('(max-width: 40rem)');
  const [choosing, setChoosing] = useState(false);
  useEffect(() => setChoosing(false), [model]);
  const foldable = narrow && model?.engine.lost === false && !loading && error?.place !== 'model';
  const folded = foldable && !choosing;

  const submit = (event: Event): void => {
    event.preventDefault();
    if (loading) playground.stop();
    if (loading || backend === undefined) return;
    void playground.load(
      {
        shipped: { kind: 'shipped' },
        hub: { kind: 'hub', id },
        url: { kind: 'url', url },
        files: { kind: 'files', files },
      }[kind] as Source,
      backend,
      weights,
    );
  };
  const choose = (event: Event): void => setFiles([...((event.currentTarget as HTMLInputElement).files ?? [])]);

  return (
    <section class="panel model" aria-labelledby="model-heading">
      <div class="heading">
        <h2 id="model-heading">Model</h2>
        {foldable && (
          <button
            type="button"
            aria-expanded={!folded}
            aria-controls="model-choice"
            onClick={() => setChoosing(folded)}
          >
            Choose another
          </button>
        )}
      </div>
      <form id="model-choice" hidden={folded} onSubmit={submit}>
        <fieldset class="segmented">
          <legend>Load from</legend>
          {SOURCES.map(({ kind: value, label }) => (
            <label key={value}>
              <input
                type="radio"
                name="source"
                value={value}
                checked={kind === value}
                onChange={() => setKind(value)}
              />
              <span class="face">{label}</span>
            </label>
          ))}
        </fieldset>
        <p class="hint">{SOURCES.find((source) => source.kind === kind)!.hint}</p>
        {kind === 'hub' && (
          <label class="field">
            Repository
            <input
              type="text"
              required
              autocapitalize="off"
              autocomplete="off"
              spellcheck={false}
              placeholder="state-spaces/mamba-130m-hf"
              value={id}
              onInput={(event) => setId(event.currentTarget.value)}
            />
          </label>
        )}
        {kind === 'url' && (
          <label class="field">
            Address of the model
            <input
              type="url"
              required
              placeholder="https://example.org/mamba/"
              value={url}
              onInput={(event) => setUrl(event.currentTarget.value)}
            />
          </label>
        )}
        {kind === 'files' && (
          <div class="pair">
            <label class="field">
              A folder
              <input type="file" {...FOLDER} onChange={choose} />
            </label>
            <label class="field">
              or its files
              <input type="file" multiple accept=".json,.safetensors,.gguf,.bin,.txt,.jinja" onChange={choose} />
            </label>
          </div>
        )}
        <BackendChoice legend="Run on" backends={backends} chosen={backend} onChoose={setChosen} />
        {backends !== undefined && backends.length > 0 && backend === undefined && (
          <p class="hint notice" role="alert">
            No model runs in this browser, for the reasons above. Try another browser, or a newer one.
          </p>
        )}
        {backend === 'cpu' && !crossOriginIsolated && (
          <p class="hint">
            The CPU has one thread here: browsers share memory between threads only where the server sends the headers{' '}
            <code>Cross-Origin-Opener-Policy: same-origin</code> and{' '}
            <code>Cross-Origin-Embedder-Policy: require-corp</code>.
          </p>
        )}
        {backend === 'cpu' && crossOriginIsolated && navigator.hardwareConcurrency < 4 && (
          <p class="hint">
            The CPU has one thread here: the browser tells of {count(navigator.hardwareConcurrency, 'processor')}, and
            two of them are mostly one core.
          </p>
        )}
        {model !== undefined && backend !== undefined && backend !== model.engine.backend && (
          <p class="hint notice">
            The loaded model still runs on {LABELS[model.engine.backend]}. Load it again to change.
          </p>
        )}
        <details>
          <summary>Weights: {weights === 'stored' ? 'as in the file' : weights}</summary>
          <select
            aria-label="Weights on the backend"
            value={weights}
            onChange={(event) => setWeights(event.currentTarget.value as Weights)}
          >
            {WEIGHTS.map(({ value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </details>
        <div class="actions">
          <button
            type="submit"
            class="primary"
            aria-disabled={backend === undefined || (busy !== undefined && !loading)}
          >
            {loading ? 'Cancel' : 'Load model'}
          </button>
          {progress !== undefined && (
            <progress aria-label={progress.what} value={progress.done} max={progress.total}>
              {amount(progress)}
            </progress>
          )}
        </div>
        {progress !== undefined && (
          <p class="hint">
            {progress.what}: {amount(progress)}
          </p>
        )}
        {error?.place === 'model' && <ErrorNote words={error.words} onDismiss={() => playground.dismissError()} />}
      </form>
      {model !== undefined && (
        <dl class="facts" aria-label="The loaded model">
          <Fact name="Loaded" value={model.title} />
          <Fact name="Weights" value={parameterCount(model.lm.info.config).toLocaleString('en')} />
          {!folded && (
            <>
              <Fact name="Layers" value={String(model.lm.info.config.blocks.length)} />
              <Fact name="Width" value={String(model.lm.info.config.dModel)} />
              <Fact name="Vocabulary" value={model.lm.info.config.vocabSize.toLocaleString('en')} />
            </>
          )}
          <Fact name="Backend" value={model.lm.info.backend.name} />
          {playground.deviceBytes !== undefined && <Fact name="Memory" value={bytes(playground.deviceBytes)} />}
        </dl>
      )}
      {model !== undefined && playground.loadedFrom?.source.kind !== 'files' && (
        <div class="actions">
          <button type="button" onClick={onLink}>
            Copy a link to this
          </button>
          <span class="hint">It holds the model, the text and the settings.</span>
        </div>
      )}
    </section>
  );
}

function amount({ done, total, unit }: Progress): string {
  return unit === 'bytes' ? `${bytes(done)} of ${bytes(total)}` : `${done} of ${total}`;
}
