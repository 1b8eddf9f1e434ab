import { useId } from 'preact/hooks';

interface NumberFieldProps {
  readonly label: string;
  readonly hint: string;
  readonly min: number;
  readonly max: number;
  /** The distance of the values that are allowed; `any` for all. */
  readonly step: number | 'any';
  /** The field as it is written. */
  readonly value: string;
  readonly onInput: (value: string) => void;
}

/** A field for a number that is needed. The form refuses what is outside its range. */
export function NumberField({ label, hint, min, max, step, value, onInput }: NumberFieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        type="number"
        inputMode="decimal"
        required
        aria-describedby={`${id}-hint`}
        {...{ id, min, max, step, value }}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <small id={`${id}-hint`}>{hint}</small>
    </div>
  );
}
