import { Controller, Get, Header } from "@nestjs/common";

/** Public keys that receipts of erasures are verified with, as JSON of RFC 7517. */
export class ReceiptKeys {
  constructor(readonly json: string) {}
}

/** For whoever was given a receipt: no credential is asked for. */
@Controller(".well-known")
export class ReceiptKeysHttp {
  constructor(private readonly keys: ReceiptKeys) {}

  @Get("memseal-receipt-keys.json")
  @Header("content-type", "application/json; charset=utf-8")
  @Header("cache-control", "max-age=300")
  read(): string {
    return this.keys.json;
  }
}
