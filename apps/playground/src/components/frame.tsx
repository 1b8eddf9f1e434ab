import type { ComponentChildren } from 'preact';
import { ErrorNote } from './error-note.tsx';

type Page = 'models' | 'training';

const PAGES: readonly { readonly page: Page; readonly address: string; readonly label: string }[] = [
  { page: 'models', address: './', label: 'Try models' },
  { page: 'training', address: './train.html', label: 'Train' },
];

interface FrameProps {
  /** The page that is shown. */
  readonly page: Page;
  /** What the page is for, in a sentence or two. */
  readonly lead: string;
  /** An error that belongs to the page as a whole. */
  readonly error?: string | undefined;
  readonly onDismiss?: () => void;
  /** The text of the status line. */
  readonly status: string;
  readonly children: ComponentChildren;
}

/** What all pages have: the heading, the way to the other page, the error, and the status line. */
export function Frame({ page, lead, error, onDismiss = () => {}, status, children }: FrameProps) {
  return (
    <>
      <header class="masthead">
        <nav aria-label="Pages">
          {PAGES.map(({ page: other, address, label }) => (
            <a key={other} href={address} aria-current={other === page ? 'page' : undefined}>
              {label}
            </a>
          ))}
        </nav>
        <h1>
          Mamba <span>{page === 'models' ? 'playground' : 'training'}</span>
        </h1>
        <p>{lead}</p>
      </header>
      <main>
        {error !== undefined && <ErrorNote words={error} onDismiss={onDismiss} />}
        {children}
      </main>
      <footer class="statusbar">
        <p role="status">{status}</p>
      </footer>
    </>
  );
}
