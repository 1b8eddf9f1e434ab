import type { ComponentChildren } from 'preact';

interface ActionProps {
  readonly children: ComponentChildren;
  readonly onClick: () => void;
  /**
   * Whether the action is not possible now. The button keeps the focus, which a disabled one would lose for users of a
   * keyboard.
   */
  readonly blocked: boolean;
  readonly quiet?: boolean;
  /** The button's name, where its content says too little. */
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
