import { useEffect, useRef } from 'preact/hooks';

interface ErrorNoteProps {
  readonly words: string;
  readonly onDismiss: () => void;
}

/** An error with its remedy, beside the control that it belongs to. It comes into view. */
export function ErrorNote({ words, onDismiss }: ErrorNoteProps) {
  const note = useRef<HTMLDivElement>(null);
  // Words that change while the note is shown are those of another error.
  useEffect(() => note.current!.scrollIntoView({ block: 'nearest' }), [words]);
  return (
    <div ref={note} class="error" role="alert">
      <p>{words}</p>
      <button type="button" onClick={onDismiss}>
        Dismiss
      </button>
    </div>
  );
}
