import { Column, PrimaryColumn, type ColumnOptions } from "typeorm";

/** The tenant: first in every key. */
export const UserHashColumn = (): PropertyDecorator => PrimaryColumn({ name: "user_hash", type: "bytea" });

/** PostgreSQL's bigint, which the driver gives as a string. */
export const BigintColumn = (name: string, options: ColumnOptions = {}): PropertyDecorator => Column({ name, type: "bigint", ...options });
