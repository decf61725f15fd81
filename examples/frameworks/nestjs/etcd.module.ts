/** A module for NestJS: `EtcdModule.forRoot(options)` or `forRootAsync({ inject, useFactory })`. */
import { ConfigurableModuleBuilder, Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common'
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus'
import { type ClientOptions, Etcd } from 'etcdkit'

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<ClientOptions>()
  .setClassMethodName('forRoot')
  .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
  .build()

/** For `@HealthCheck()`. A degraded cluster still serves requests: only `unhealthy` is down. */
@Injectable()
export class EtcdHealthIndicator {
  readonly #etcd: Etcd
  readonly #indicators: HealthIndicatorService

  constructor(@Inject(Etcd) etcd: Etcd, @Inject(HealthIndicatorService) indicators: HealthIndicatorService) {
    this.#etcd = etcd
    this.#indicators = indicators
  }

  async check(name: string): Promise<HealthIndicatorResult> {
    const { status, problems } = await this.#etcd.health({ timeoutMs: 800 })
    const indicator = this.#indicators.check(name)
    return status === 'unhealthy' ? indicator.down({ problems }) : indicator.up({ problems })
  }
}

@Module({
  providers: [
    { provide: Etcd, inject: [MODULE_OPTIONS_TOKEN], useFactory: (options: ClientOptions) => new Etcd(options) },
    HealthIndicatorService,
    EtcdHealthIndicator,
  ],
  exports: [Etcd, EtcdHealthIndicator],
})
export class EtcdModule extends ConfigurableModuleClass implements OnApplicationShutdown {
  readonly #etcd: Etcd

  constructor(@Inject(Etcd) etcd: Etcd) {
    super()
    this.#etcd = etcd
  }

  /** After the server has finished its requests. */
  async onApplicationShutdown(): Promise<void> {
    await this.#etcd.close()
  }
}
