package com.huawei.agconnect.config;

import android.content.Context;

/** Stands in for the class of this name in Huawei's library. */
public class AGConnectServicesConfig {
  public static AGConnectServicesConfig fromContext(Context context) {
    return new AGConnectServicesConfig();
  }

  public String getString(String path) {
    return path.equals("client/app_id") ? "agc-id" : null;
  }
}
