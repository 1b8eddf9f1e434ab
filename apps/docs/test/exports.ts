// What the packages export, found in their sources without a type checker, so that it takes a second.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

export interface Exported {
  /** The name that users import it by. */
  readonly name: string;
  readonly declarations: readonly ts.Declaration[];
}

/** Reads modules and follows what they export again from modules beside them; what is another package's is left out. */
export class Modules {
  readonly #sources = new Map<string, ts.SourceFile>();

  exportsOf(file: string): readonly Exported[] {
    return this.#source(file).statements.flatMap((statement) => {
      if (ts.isExportDeclaration(statement)) return this.#again(file, statement);
      const isExported = ts.canHaveModifiers(statement)
        ? ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
        : false;
      return isExported ? declaredBy(statement).map((node) => ({ name: nameOf(node), declarations: [node] })) : [];
    });
  }

  /** `export { a as b } from './a.ts'` and `export * from './a.ts'`. */
  #again(file: string, { moduleSpecifier, exportClause }: ts.ExportDeclaration): readonly Exported[] {
    if (moduleSpecifier === undefined || !ts.isStringLiteral(moduleSpecifier)) return [];
    if (!moduleSpecifier.text.startsWith('.')) return [];
    const found = this.exportsOf(join(dirname(file), moduleSpecifier.text));
    if (exportClause === undefined || !ts.isNamedExports(exportClause)) return found;
    return exportClause.elements.map(({ name, propertyName = name }) => ({
      name: name.text,
      // A function with overloads has several.
      declarations: found.filter((each) => each.name === propertyName.text).flatMap((each) => each.declarations),
    }));
  }

  #source(file: string): ts.SourceFile {
    const known = this.#sources.get(file);
    if (known !== undefined) return known;
    const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
    this.#sources.set(file, source);
    return source;
  }
}

/** The names of what has no comment: the export itself, and the methods and accessors that users call. */
export function undocumented({ name, declarations }: Exported): readonly string[] {
  const members = declarations.flatMap(methodsOf);
  // Overloads share a name, and one comment is enough.
  const documented = new Set(members.filter(isDocumented).map(nameOf));
  const bare = new Set(members.map(nameOf).filter((member) => !documented.has(member)));
  return [...(declarations.some(isDocumented) ? [] : [name]), ...[...bare].map((member) => `${name}.${member}`)];
}

/** The comment of a constant stands before its statement. */
function isDocumented(node: ts.Declaration): boolean {
  const commented = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  return ts.getJSDocCommentsAndTags(commented).length > 0;
}

function methodsOf(node: ts.Declaration): readonly ts.Declaration[] {
  if (ts.isInterfaceDeclaration(node)) return node.members.filter(ts.isMethodSignature);
  // Those of an interface that the class implements have its comments.
  if (!ts.isClassDeclaration(node) || node.heritageClauses !== undefined) return [];
  return node.members.filter(
    (member) =>
      (ts.isMethodDeclaration(member) || ts.isAccessor(member)) &&
      !ts.isPrivateIdentifier(member.name) &&
      !ts.isComputedPropertyName(member.name),
  );
}

function declaredBy(statement: ts.Statement): readonly ts.Declaration[] {
  if (ts.isVariableStatement(statement)) return statement.declarationList.declarations;
  const isDeclaration =
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) ||
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement);
  return isDeclaration ? [statement] : [];
}

function nameOf(node: ts.Declaration): string {
  return (ts.getNameOfDeclaration(node) as ts.Identifier | undefined)?.text ?? 'default';
}
