import { FIELDS, type SamplingFields, WITH_TEMPERATURE } from '../sampling.ts';

interface SamplingProps {
  /** The id of the form that the fields belong to. */
  readonly form: string;
  readonly fields: SamplingFields;
  /** Is given what changed. */
  readonly onChange: (fields: Partial<SamplingFields>) => void;
}

export function Sampling({ form, fields, onChange }: SamplingProps) {
  const greedy = Number(fields.temperature) === 0;
  return (
    <fieldset class="sampling">
      <legend>Sampling</legend>
      {FIELDS.map(({ name, label, hint, min, max, step, required }) => (
        <div class="field" key={name}>
          <label for={`sampling-${name}`}>{label}</label>
          <input
            type="number"
            inputMode="decimal"
            id={`sampling-${name}`}
            aria-describedby={`sampling-${name}-hint`}
            {...{ form, name, min, max, step, required }}
            value={fields[name]}
            placeholder={required ? '' : name === 'seed' ? 'random' : 'off'}
            disabled={greedy && WITH_TEMPERATURE.includes(name)}
            onInput={(event) => onChange({ [name]: event.currentTarget.value })}
          />
          <small id={`sampling-${name}-hint`}>{hint}</small>
        </div>
      ))}
    </fieldset>
  );
}
