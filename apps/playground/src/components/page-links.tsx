export type Page = 'showcase' | 'models' | 'training';

const PAGES: readonly { readonly page: Page; readonly address: string; readonly label: string }[] = [
  { page: 'showcase', address: './showcase.html', label: 'See it' },
  { page: 'models', address: './', label: 'Try models' },
  { page: 'training', address: './train.html', label: 'Train' },
];

/** The ways to the other pages. */
export function PageLinks({ page }: { readonly page: Page }) {
  return (
    <nav class="pages" aria-label="Pages">
      {PAGES.map(({ page: other, address, label }) => (
        <a key={other} href={address} aria-current={other === page ? 'page' : undefined}>
          {label}
        </a>
      ))}
    </nav>
  );
}
