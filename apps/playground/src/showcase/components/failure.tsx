import { Action } from '../../components/action.tsx';
import { ErrorNote } from '../../components/error-note.tsx';

interface FailureProps {
  /** What has an error of its own, which can be dismissed. */
  readonly of: { readonly error: string | undefined; dismissError(): void };
  /** Tries again. Absent where a button of the section does so. */
  readonly onRetry?: () => void;
}

/** The error of a section, where there is one, beside what caused it. */
export function Failure({ of, onRetry }: FailureProps) {
  if (of.error === undefined) return null;
  return (
    <>
      <ErrorNote words={of.error} onDismiss={() => of.dismissError()} />
      {onRetry !== undefined && (
        <div class="actions">
          <Action blocked={false} onClick={onRetry}>
            Try again
          </Action>
        </div>
      )}
    </>
  );
}
