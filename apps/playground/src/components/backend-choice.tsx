import type { BackendName, BackendReport } from '../worker/protocol.ts';

export const LABELS: Readonly<Record<BackendName, string>> = { webgpu: 'WebGPU', cpu: 'CPU' };

interface BackendChoiceProps {
  readonly legend: string;
  /** What was found; undefined while it is looked for. */
  readonly backends: readonly BackendReport[] | undefined;
  readonly chosen: BackendName | undefined;
  readonly disabled?: boolean;
  readonly onChoose: (backend: BackendName) => void;
}

/** Chooses a backend, and says of each what it is, or why it does not run here. */
export function BackendChoice({ legend, backends, chosen, disabled = false, onChoose }: BackendChoiceProps) {
  return (
    <fieldset class="backends" disabled={disabled}>
      <legend>{legend}</legend>
      {(Object.keys(LABELS) as BackendName[]).map((name) => {
        const report = backends?.find((candidate) => candidate.name === name);
        return (
          <label key={name}>
            <input
              type="radio"
              name="backend"
              value={name}
              disabled={report?.available !== true}
              checked={chosen === name}
              aria-describedby={`backend-${name}`}
              onChange={() => onChoose(name)}
            />
            <span class="name">{LABELS[name]}</span>
            <span class="hint" id={`backend-${name}`}>
              {report !== undefined ? words(report) : backends === undefined ? 'looking …' : 'not known'}
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}

/** Returns the first backend that runs. A GPU in software is taken only where there is no other. */
export function proposed(backends: readonly BackendReport[] = []): BackendName | undefined {
  const running = backends.filter(({ available }) => available);
  return (running.find(({ software }) => !software) ?? running[0])?.name;
}

function words({ available, software, words }: BackendReport): string {
  if (!available) return `Not available: ${words}`;
  return software ? `${words}: a GPU in software, slow` : words;
}
