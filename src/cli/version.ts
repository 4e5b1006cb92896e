/** The one place for the version, apart from package.json; a test keeps them equal. */
export const version = '0.1.0';
