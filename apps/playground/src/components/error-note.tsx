interface ErrorNoteProps {
  readonly words: string;
  readonly onDismiss: () => void;
}

/** An error with its remedy, beside the control that it belongs to. */
export function ErrorNote({ words, onDismiss }: ErrorNoteProps) {
  return (
    <div class="error" role="alert">
      <p>{words}</p>
      <button type="button" onClick={onDismiss}>
        Dismiss
      </button>
    </div>
  );
}
