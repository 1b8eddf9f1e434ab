import type { ComponentChildren } from 'preact';

interface ActionProps {
  readonly children: ComponentChildren;
  readonly onClick: () => void;
  /** Not now. The button keeps the focus, which a disabled one would lose in the middle of a keyboard user's way. */
  readonly blocked: boolean;
  readonly quiet?: boolean;
  /** Where the content says too little. */
  readonly label?: string | undefined;
}

export function Action({ children, onClick, blocked, quiet = false, label }: ActionProps) {
  return (
    <button
      type="button"
      class={quiet ? 'quiet' : ''}
      aria-disabled={blocked}
      aria-label={label}
      onClick={() => {
        if (!blocked) onClick();
      }}
    >
      {children}
    </button>
  );
}
